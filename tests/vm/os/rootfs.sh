#!/bin/bash
# Part "rootfs": the guest's packages, unpacked and configured, as a tar archive.
# In: PACKAGES (comma separated), SUITE, SOURCES (apt sources file), OUT, WORK.
set -euo pipefail

# "essential" rather than "minbase": an image that is replaced as a whole needs no apt inside.
TMPDIR=$WORK mmdebstrap --variant=essential --components=main --format=tar --include="$PACKAGES" \
  --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/info/*' \
  "$SUITE" - "$SOURCES" | zstd -q -3 -T0 >"$OUT/rootfs.tar.zst"
