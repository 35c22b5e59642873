#!/bin/bash
# Part "kernel-VERSION": one kernel package, unpacked.
# In: RELEASE, APT_CONFIG, OUT, WORK.
set -euo pipefail

cd "$WORK"
apt-get -q download "linux-image-$RELEASE"
dpkg-deb -x linux-image-*.deb "$WORK/x"
mkdir -p "$OUT/modules"
mv "$WORK/x/boot/vmlinuz-$RELEASE" "$OUT/vmlinuz"
mv "$WORK/x/boot/config-$RELEASE" "$OUT/config"
mv "$WORK/x/usr/lib/modules/$RELEASE" "$OUT/modules/"
rm -f "$OUT/modules/$RELEASE"/{build,source}
