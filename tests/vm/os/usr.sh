#!/bin/bash
# Part "usrVERSION": the read-only /usr of one OS version, a squashfs with its dm-verity tree appended.
# In: ROOTFS (tar), KERNEL (folder), RELEASE, VERSION_ID, FILES (this folder), OUT, WORK.
set -euo pipefail

root=$WORK/root
mkdir "$root"
tar -C "$root" -xf "$ROOTFS"
usr=$root/usr

mkdir -p "$usr/lib/modules"
cp -a "$KERNEL/modules/$RELEASE" "$usr/lib/modules/"
cp "$KERNEL/vmlinuz" "$KERNEL/config" "$usr/lib/modules/$RELEASE/"

# Not needed in an image that is replaced as a whole, and each of these is paid for at every boot or build.
rm -rf "$usr"/lib/{apt,dpkg,dracut,systemd/user} "$usr"/lib/udev/hwdb.* "$usr"/share/{bash-completion,zsh,bug,lintian,perl5}
# podman runs containers without a network and pulls nothing: no signatures, no networks of its own.
rm -rf "$usr"/libexec/podman "$usr"/lib/podman/netavark-* "$usr"/bin/{gpg*,dirmngr*,pinentry*} "$usr"/lib/gnupg2
for g in "$usr"/lib/systemd/system-generators/*; do
  case ${g##*/} in systemd-debug-generator | systemd-fstab-generator | systemd-run-generator) ;; *) rm "$g" ;; esac
done
# Each udev rule is looked at for each device at every boot; what is kept is what disks, device mapper,
# drivers, video devices and the guest agent need.
for rule in "$usr"/lib/udev/rules.d/*.rules; do
  case ${rule##*/} in
    50-udev-default* | 55-dm* | 60-block* | 60-persistent-storage* | 60-persistent-v4l* | 60-qemu-guest-agent* | \
      80-drivers* | 95-dm-notify* | 99-systemd*) ;;
    *) rm "$rule" ;;
  esac
done
while read -r unit _; do
  case $unit in '' | '#'*) ;; *) ln -sfn /dev/null "$usr/lib/systemd/system/$unit" ;; esac
done <"$FILES/masked-units"

# Nothing is enabled unless somebody asks for it: Debian's presets and the enablements in /etc go.
rm -f "$usr"/lib/systemd/system-preset/*
cp -a "$FILES/files/." "$usr/"
chown -R 0:0 "$usr/lib/systemd" "$usr/lib/tmpfiles.d" "$usr/lib/modprobe.d"
ln -sfn multi-user.target "$usr/lib/systemd/system/default.target"

# The lower layer of /etc. No machine-id: its absence is what makes a boot the first one for systemd,
# which then applies the presets.
etc=$usr/share/flatcar/etc
mkdir -p "$usr/share/flatcar"
cp -a "$root/etc" "$etc"
rm -rf "$etc"/{machine-id,fstab,mtab,.pwd.lock,modules,modules-load.d,resolv.conf,os-release,hostname,apt,dpkg,init.d,cron.d,cron.daily,selinux} \
  "$etc"/rc?.d "$etc"/systemd/system/*.wants "$etc"/{passwd,group,shadow,gshadow}-
ln -s ../usr/lib/os-release "$etc/os-release"
ln -s ../proc/self/mounts "$etc/mtab"
echo localhost >"$etc/hostname"
sed -i 's/^root:[^:]*:/root::/' "$etc/shadow"
# Debian's Ignition relabels files, and fails when it finds no SELinux configuration at all.
mkdir "$etc/selinux"
echo SELINUXTYPE=none >"$etc/selinux/config"

rm -f "$usr/lib/os-release"
cat >"$usr/lib/os-release" <<EOF
NAME="Flatcar Container Linux by Kinvolk"
ID=flatcar
ID_LIKE=coreos
VERSION=$VERSION_ID
VERSION_ID=$VERSION_ID
BUILD_ID=driverext-test
SYSEXT_LEVEL=1.0
PRETTY_NAME="Flatcar Container Linux by Kinvolk $VERSION_ID (driverext test image)"
FLATCAR_BOARD="amd64-usr"
CPE_NAME="cpe:2.3:o:flatcar-linux:flatcar_linux:$VERSION_ID:*:*:*:*:*:*:*"
EOF
cat >"$usr/share/flatcar/release" <<EOF
FLATCAR_RELEASE_VERSION=$VERSION_ID
FLATCAR_RELEASE_BOARD="amd64-usr"
EOF

image=$OUT/usr.raw
mksquashfs "$usr" "$image" -comp lz4 -noappend -no-progress -quiet -all-root
size=$(($(stat -c %s "$image") + 4095 & ~4095))
truncate -s "$size" "$image"
# The salt is empty: /init writes the dm table itself and needs only the hash and the size.
veritysetup format --salt=- --uuid=00000000-0000-4000-8000-000000000001 \
  --data-blocks=$((size / 4096)) --hash-offset="$size" "$image" "$image" | tee "$WORK/verity"
echo "$(awk '/^Root hash/ { print $3 }' "$WORK/verity") $size" >"$OUT/verity"
