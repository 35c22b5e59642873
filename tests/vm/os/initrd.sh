#!/bin/bash
# Part "initrdVERSION": busybox, Ignition and the kernel modules that lead to /usr and the root disk.
# In: ROOTFS (tar), KERNEL (folder), RELEASE, FILES (this folder), OUT, WORK.
set -euo pipefail

root=$WORK/root
tree=$WORK/initrd
mkdir "$root" "$tree"
tar -C "$root" -xf "$ROOTFS"
# 755 and not mktemp's 700: Ignition drops to the user's id when it writes ssh keys.
chmod 755 "$tree"
mkdir -p "$tree"/{dev,etc/ssl/certs,proc,root,run,sys,sysroot,tmp,usr/bin,usr/sbin,usr/lib64}
for d in bin sbin lib lib64; do ln -s "usr/$d" "$tree/$d"; done

add_program() { # path in the root file system [path in the initrd]
  local library
  install -D -m 755 "$root/$1" "$tree/${2:-$1}"
  for library in $(chroot "$root" ldd "/$1" | grep -o '/[^ ]*'); do
    [ -e "$tree$library" ] || install -D -m 755 "$root$library" "$tree/usr/${library#/usr/}"
  done
}

add_program usr/bin/busybox
for applet in cat date echo grep ifconfig ip ln mkdir mknod modprobe mount mv poweroff rm sed sh sleep stat switch_root sync timeout umount; do
  ln -s busybox "$tree/usr/bin/$applet"
done
add_program usr/lib/dracut/modules.d/30ignition/ignition usr/bin/ignition
add_program usr/sbin/dmsetup
for p in useradd usermod groupadd; do add_program usr/sbin/$p; done # Ignition's passwd section
# Debian's Ignition relabels what it writes; this OS has no SELinux.
printf '#!/usr/bin/sh\nexit 0\n' >"$tree/usr/sbin/setfiles"
chmod 755 "$tree/usr/sbin/setfiles"
cp "$root"/etc/{passwd,group,login.defs} "$tree/etc/"
cp "$root/etc/ssl/certs/ca-certificates.crt" "$tree/etc/ssl/certs/"
touch "$tree/etc/initrd-release"

# Modules go in uncompressed: busybox can't unpack them, and the kernel needn't.
mkdir -p "$root/usr/lib/modules"
cp -a "$KERNEL/modules/$RELEASE" "$root/usr/lib/modules/"
modules=usr/lib/modules/$RELEASE
mkdir -p "$tree/$modules"
cp "$root/$modules"/modules.{builtin,order} "$tree/$modules/"
for m in crc32c_generic virtio_blk virtio_mmio virtio_net virtio_rng dm_verity squashfs overlay loop ext4 qemu_fw_cfg af_packet; do
  chroot "$root" modprobe -S "$RELEASE" --show-depends "$m"
done | awk '/^insmod/ { print $2 }' | sort -u | while read -r module; do
  target=$tree/$modules/kernel/${module##*/}
  mkdir -p "${target%/*}"
  xz -dc "$root$module" >"${target%.xz}"
done
mkdir "$root/mnt/initrd"
mount --bind "$tree" "$root/mnt/initrd"
chroot "$root" depmod -b /mnt/initrd "$RELEASE"

install -m 755 "$FILES/init" "$tree/init"
(cd "$tree" && find . -print0 | LC_ALL=C sort -z | cpio -0 -o -H newc --quiet -R 0:0) | ${COMPRESS:-lz4 -q -l -9} >"$OUT/initrd.img"
