#!/bin/bash
# Part "disk": an empty root file system; each guest writes to an overlay on it.
set -euo pipefail

truncate -s 8G "$WORK/root.img"
# Everything is initialised here, so that no guest does it in the background at every first boot.
mkfs.ext4 -q -L ROOT -N 131072 -E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 -m 0 "$WORK/root.img"
qemu-img convert -q -O qcow2 "$WORK/root.img" "$OUT/root.qcow2"
