#!/bin/bash
# Part "kernelVERSION": one kernel package, unpacked, and the list of what that kernel exports.
# In: RELEASE, APT_CONFIG, OUT, WORK.
set -euo pipefail

cd "$WORK"
apt-get -q download "linux-image-$RELEASE" "linux-headers-$RELEASE"
dpkg-deb -x linux-image-*.deb "$WORK/x"
mkdir -p "$OUT/modules"
mv "$WORK/x/boot/vmlinuz-$RELEASE" "$OUT/vmlinuz"
mv "$WORK/x/boot/config-$RELEASE" "$OUT/config"
mv "$WORK/x/usr/lib/modules/$RELEASE" "$OUT/modules/"
rm -f "$OUT/modules/$RELEASE"/{build,source}
# As Fedora and RHEL have it in /usr: with it a node knows the checksums of the kernel's symbols. Debian has it in the headers.
symvers=usr/src/linux-headers-$RELEASE/Module.symvers
dpkg-deb --fsys-tarfile linux-headers-*.deb | tar -xO "./$symvers" | xz -6 >"$OUT/modules/$RELEASE/symvers.xz"
# Once for /usr and for the initrd: it unpacks every module.
mkdir "$WORK/base"
ln -s "$OUT" "$WORK/base/lib"
depmod -b "$WORK/base" "$RELEASE"
