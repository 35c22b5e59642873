#!/bin/bash
# Part "builder": compiler, headers of every test kernel and driver sources, as one squashfs image.
# In: PACKAGES, SOURCE_PACKAGES (names; unpacked only, never installed), SUITE, SOURCES, APT_CONFIG, OUT, WORK.
set -euo pipefail

TMPDIR=$WORK mmdebstrap --variant=essential --components=main --include="$PACKAGES" \
  --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/info/*' \
  "$SUITE" "$WORK/root" "$SOURCES"
[ -e "$WORK/root/usr/bin/gcc" ] || ln -s gcc-14 "$WORK/root/usr/bin/gcc"

# A dkms package's own scripts would compile for the running kernel: take its files alone.
mkdir "$WORK/debs"
cd "$WORK/debs"
for package in $SOURCE_PACKAGES; do apt-get -q download "$package"; done
for deb in ./*.deb; do dpkg-deb -x "$deb" "$WORK/unpacked"; done
cp -a "$WORK/unpacked/usr/src/." "$WORK/root/usr/src/"

rm -rf "$WORK/root/var/cache/apt" "$WORK/root/var/lib/apt/lists"
mkdir -p "$WORK/root"/{build,proc,dev,tmp}
mksquashfs "$WORK/root" "$OUT/builder.squashfs" -comp lz4 -noappend -no-progress -quiet
