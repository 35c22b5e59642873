#!/bin/bash
# Part "root": a builder root file system with Debian's kernel headers and the compiler that made that kernel.
# In: PACKAGES (comma-separated), SUITE, SOURCES, APT_CONFIG, OUT, WORK.
set -euo pipefail

TMPDIR=$WORK mmdebstrap --variant=essential --components=main --include="$PACKAGES" \
  --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' \
  --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/info/*' \
  "$SUITE" "$OUT/root" "$SOURCES"
rm -rf "$OUT/root"/dev/* # a container has its own
