#!/bin/bash
# Part "packages": Debian packages as files, as apt has checked them against its signatures. Nothing is installed.
# In: PACKAGES (names), APT_CONFIG, OUT.
set -euo pipefail

cd "$OUT"
# shellcheck disable=SC2086 # a list
apt-get -q download $PACKAGES
