#!/bin/bash
# Part "builder": compiler, headers of every test kernel and driver sources, as one squashfs image.
# In: PACKAGES, UNPACKED (names; never installed), SUITE, SOURCES, APT_CONFIG, OUT, WORK.
set -euo pipefail

TMPDIR=$WORK mmdebstrap --variant=essential --components=main --include="$PACKAGES" \
  --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/info/*' \
  "$SUITE" "$WORK/root" "$SOURCES"
[ -e "$WORK/root/usr/bin/gcc" ] || ln -s gcc-14 "$WORK/root/usr/bin/gcc"

# A dkms package's own scripts would compile for the running kernel, and headers depend on their whole kernel, that on
# an initrd's tools: their files are taken alone.
mkdir "$WORK/debs"
cd "$WORK/debs"
read -r -a names <<<"$UNPACKED"
apt-get -q download "${names[@]}"
for deb in ./*.deb; do dpkg-deb -x "$deb" "$WORK/root"; done

# gcc depends on sanitizers and link time optimisation. What compiles no C for x86 goes: guests get this root too,
# through a verified image.
cd "$WORK/root"
san='lib{a,t,l,hwa,ub}san'
useless=(
  'dev/*' 'var/*'
  'usr/bin/{perl*,apt*,dpkg*,*-lto-dump*,*gprofng*,*gp-*,*gcov*,*dwp*,*ld.gold}'
  'usr/lib/{apt,dpkg,systemd}'
  'usr/lib/x86_64-linux-gnu/{perl-base,gprofng,gconv,security}'
  "usr/lib/x86_64-linux-gnu/{$san.*,libapt*,libdb-*,libgprofng*,libstdc++*}"
  'usr/lib/x86_64-linux-gnu/{libc.a,libm-*.a,libmvec.a}'
  "usr/lib/gcc/x86_64-linux-gnu/14/{$san*,plugin,libgcov.a}"
  'usr/libexec/gcc/x86_64-linux-gnu/14/{lto1,g++-mapper-server}'
  'usr/share/{perl5,pam,zoneinfo,i18n,gcc,gdb,doc,lintian}'
  'usr/src/linux-headers-*-common/{include/dt-bindings,Documentation}'
  # Without the kernel's own type information modules get none: it takes long and no test looks at it.
  'usr/src/linux-headers-*/vmlinux'
)
for pattern in "${useless[@]}"; do eval "rm -rf $pattern"; done
find usr/src/linux-headers-*-common/arch -mindepth 1 -maxdepth 1 -type d ! -name x86 -exec rm -rf {} +

mkdir -p build proc dev sys run tmp
mksquashfs . "$OUT/builder.squashfs" -comp lz4 -noappend -no-progress -quiet
