// The table of checks. docs/doctor.md has the same rows; a test holds them equal.
#include "doctor/checks.hpp"

#include <array>

namespace driverext {
namespace {

constexpr std::array kChecks = {
    CheckInfo{"configuration", "Without a driver that is configured and defined there is nothing to provision.",
              "Correct what the message names in /etc/driverext; see docs/configuration.md.", checks::configuration},
    CheckInfo{"service-enabled", "A service that nothing starts provisions no driver at the next boot.",
              "Run: systemctl unmask driverext; systemctl enable driverext", checks::service_enabled},
    CheckInfo{"last-provision", "The last provision says best why there is no driver.",
              "See driverext status, which tells what to do about this reason.", checks::last_provision},
    CheckInfo{"last-acquisition", "A node that can neither fetch nor build an image stays without its driver.",
              "See journalctl -u driverext-acquire; once mended, run: systemctl restart driverext",
              checks::last_acquisition},
    CheckInfo{"hardware-present", "The driver's modules refuse to load where there is no device for them.",
              "Check that the device is plugged in, or passed to this machine, and that the configuration names the "
              "right driver; if it is not wanted here, set [driver] hardware = \"optional\".",
              checks::hardware_present},

    CheckInfo{"image-for-kernel", "Modules load only into the kernel that they were built for.",
              "Put an image for this kernel release into /var/lib/driverext/inbox and run: systemctl restart driverext",
              checks::image_for_kernel},
    CheckInfo{"image-for-coming-kernel", "After the next reboot the node would be without its driver.",
              "Before the reboot, run: driverext stage --kernel=RELEASE", checks::image_for_coming_kernel},
    CheckInfo{"userland-for-modules", "Modules whose user libraries are missing are not loaded.",
              "Put the userland image of that version into /var/lib/driverext/inbox and run: systemctl restart "
              "driverext",
              checks::userland_for_modules},
    CheckInfo{"refused-images", "An image that is refused is never used, however well it fits.",
              "Find out who put the file there; fetch it again from its publisher, or remove it.",
              checks::refused_images},
    CheckInfo{"waiting-images", "An image is used only once a provision has imported it.",
              "Run: systemctl restart driverext", checks::waiting_images},
    CheckInfo{"images-put-aside", "An image that failed on this node is not used again by itself.",
              "Provide a newer image; to try this one again, run: driverext retry ROOTHASH", checks::images_put_aside},
    CheckInfo{"interrupted-load", "A driver that takes the node down while it loads may do so again.",
              "Look for a crash in the kernel log of that boot: journalctl -k -b -1", checks::interrupted_load},

    CheckInfo{"trust-anchors", "Without a trust anchor every image is untrusted.",
              "Place the publisher's certificate (PEM, *.crt) in /etc/driverext/trust and run: systemctl restart "
              "driverext",
              checks::trust_anchors},
    CheckInfo{"signer-validity", "Once its signer's certificate has ended, an image is refused, at the next boot too.",
              "Have the publisher sign the image anew, with a certificate that is valid longer.",
              checks::signer_validity},
    CheckInfo{"trust-folder", "Whoever can write a trust anchor decides what code the kernel runs.",
              "Run: chown -R root:root /etc/driverext/trust; chmod -R go-w /etc/driverext/trust", checks::trust_folder},
    CheckInfo{"node-key", "Whoever can read the node's key can sign modules that this node loads.",
              "Remove /var/lib/driverext/keys, so that a new key is made, and see who had access.", checks::node_key},
    CheckInfo{"clock",
              "Certificates and the channel's index are judged by the time; a clock that is behind makes "
              "expired ones valid and new ones not valid yet.",
              "Set the clock, and see why it is not kept right: timedatectl status", checks::host_clock},

    CheckInfo{"loop-devices", "Images are attached through loop devices.", "Use a kernel with CONFIG_BLK_DEV_LOOP.",
              checks::loop_devices},
    CheckInfo{"dm-verity", "dm-verity checks each block of an image as it is read.",
              "Use a kernel with CONFIG_DM_VERITY.", checks::dm_verity},
    CheckInfo{"image-file-system", "The kernel must know the file system in the image to mount it.",
              "Use a kernel with CONFIG_SQUASHFS and CONFIG_SQUASHFS_ZSTD, or images that were built with erofs.",
              checks::image_file_system},
    CheckInfo{"host-modules", "What the driver needs of the kernel's own modules cannot be loaded any more.",
              "The kernel was updated or removed under a running host: reboot.", checks::host_modules},
    CheckInfo{"module-index", "An index in an extension hides the host's own, and every module that is only in that.",
              "Take the modules.* files out of the named extension, and run: systemd-sysext refresh",
              checks::module_index},
    CheckInfo{"module-signatures", "A kernel that takes signed modules only refuses the driver's.",
              "Sign the modules with a key that the kernel knows (driverext modules sign), or enroll that key: mokutil "
              "--import",
              checks::module_signatures},
    CheckInfo{"module-blocked", "A module that the kernel's command line blocks is loaded by nobody.",
              "Take it out of module_blacklist= on the kernel's command line, and reboot.", checks::module_blocked},
    CheckInfo{"module-install-lines", "modprobe and udev do nothing where an install line says so, and report success.",
              "Remove the line, which another installer or an old guide has left.", checks::module_install_lines},
    CheckInfo{"module-on-host",
              "udev may load the host's module of that name first; the image's then finds its place "
              "taken.",
              "Remove the host's module: dkms remove, or the package that it came with.", checks::module_on_host},
    CheckInfo{"kernel-oops", "After an oops a module may be stuck for good, and cannot be unloaded.",
              "Read it: journalctl -k -b; then reboot.", checks::kernel_oops},

    CheckInfo{"competing-driver", "A device has one driver at a time, and the first one keeps it.",
              "Keep the other module out (module_blacklist=NAME on the kernel's command line), and reboot.",
              checks::competing_driver},
    CheckInfo{"driver-loaded", "Somebody has unloaded the driver since it was provisioned.",
              "Run: systemctl restart driverext", checks::driver_loaded},
    CheckInfo{"module-identity",
              "The loaded modules came from elsewhere; user libraries of the image may not fit them.",
              "Stop what uses the devices, unload the modules or reboot, then run: systemctl restart driverext",
              checks::module_identity},
    CheckInfo{"mixed-versions", "User libraries refuse to work with modules of another version.",
              "Reboot, so that all parts come from one image; remove what another installer has left.",
              checks::mixed_versions},
    CheckInfo{"held-devices", "As long as somebody has a device open, the driver's modules cannot be exchanged.",
              "Stop the named programs or containers, then run: systemctl restart driverext", checks::held_devices},
    CheckInfo{"firmware-path", "The driver does not find its firmware, and its devices do not start.",
              "Run: echo -n > /sys/module/firmware_class/parameters/path; then: systemctl restart driverext",
              checks::firmware_path},

    CheckInfo{"device-nodes", "Programs and containers reach the devices by their nodes only.",
              "Run: systemctl restart driverext", checks::device_nodes},
    CheckInfo{"device-node-modes", "With another mode or owner, those who may use the devices cannot, or others can.",
              "Run: systemctl restart driverext; then find what changes them, an udev rule mostly.",
              checks::device_node_modes},
    CheckInfo{"dev-char-links", "After a daemon-reload, containers lose the devices that have no link in /dev/char.",
              "Run: systemctl restart driverext", checks::dev_char_links},
    CheckInfo{"daemon-reload", "When an extension has systemd reloaded, running containers can lose their devices.",
              "Take EXTENSION_RELOAD_MANAGER=1 out of the named extension, or merge it before containers start.",
              checks::daemon_reload},
    CheckInfo{"stale-device-nodes", "Whoever opens a node that has no driver gets an error that does not tell why.",
              "Run: systemctl restart driverext; if the driver is not wanted any more, remove the nodes.",
              checks::stale_device_nodes},

    CheckInfo{"driver-root", "Container engines take the driver's libraries from the driver root.",
              "Run: systemctl restart driverext; if something else has put files there, remove them first.",
              checks::driver_root},
    CheckInfo{"driver-root-version", "Containers get libraries that do not fit the loaded modules.",
              "Stop the containers that use the devices, then run: systemctl restart driverext",
              checks::driver_root_version},
    CheckInfo{"merged-extension", "The driver's programs are not on the host's PATH, or are of another version.",
              "See systemd-sysext status; then run: systemctl restart driverext", checks::merged_extension},
    CheckInfo{"toolkit-root", "The container toolkit changes into the driver root, and fails if nothing is there.",
              "Run: systemctl restart driverext; or correct the named file.", checks::toolkit_root},
    CheckInfo{"docker-runtime",
              "docker does not start with a file that it cannot read, and starts no container whose "
              "runtime is missing.",
              "Correct the named file, or install the runtime.", checks::docker_runtime},
    CheckInfo{"engine-runtimes", "Containers whose runtime is missing do not start.",
              "Correct the named file, or install the runtime.", checks::engine_runtimes},
    CheckInfo{"cdi-spec", "Without a CDI spec container engines know none of the devices.",
              "Run: systemctl restart driverext", checks::cdi_spec},
    CheckInfo{"cdi-duplicates",
              "Of two specs of one kind, one hides the other, or the engine drops the devices of both.",
              "Remove all but the one that driverext writes; generators of other makers are not needed beside it.",
              checks::cdi_duplicates},
    CheckInfo{"cdi-files", "A spec that is older than the driver names files that are gone, and no container starts.",
              "Run: systemctl restart driverext; a spec in /etc/cdi is somebody else's: make it anew, or remove it.",
              checks::cdi_files},

    CheckInfo{"extension-files", "One file that is no image stops systemd-sysext from merging all the others.",
              "Remove the named file, or put a whole one in its place; then run: systemd-sysext refresh",
              checks::extension_files},
    CheckInfo{"extension-os", "An extension for another OS or release is passed over in silence.",
              "Replace it by the one for this release, or remove it.", checks::extension_os},
    CheckInfo{"extension-level",
              "A SYSEXT_LEVEL matches every release of this OS, and so kernels that the modules are "
              "not for.",
              "Have the extension built with VERSION_ID in the place of SYSEXT_LEVEL.", checks::extension_level},
    CheckInfo{"image-policy",
              "A policy joins alternatives with +; with a weaker one beside signed, unsigned images are "
              "taken.",
              "Leave signed and absent only: root=signed+absent:usr=signed+absent", checks::image_policy},
    CheckInfo{"usr-type-extensions",
              "systemd mounts an image with a partition of type usr without asking for its "
              "signature, whatever the policy.",
              "Have it built with a partition of type root.", checks::usr_type_extensions},

    CheckInfo{"disk-space", "A new image is kept beside the old one until it has proven good.",
              "Free some space below /var; driverext image inspect shows what is in an image.", checks::disk_space},
    CheckInfo{"run-space", "The driver root and what is known of this boot are kept below /run.",
              "Remove what fills /run.", checks::run_space},
    CheckInfo{"channel-reachable", "New images come through the channel.",
              "Check network, proxy and the URL in /etc/driverext/driverext.toml.", checks::channel_reachable},
};

}  // namespace

std::span<const CheckInfo> all_checks() { return kChecks; }

}  // namespace driverext
