#include "base/reason.hpp"

#include <array>

namespace driverext {
namespace {

constexpr std::array kReasons = {
    ReasonInfo{Reason::provisioned, "provisioned", "f78039ea33974c3b9b23f2d28387c868", Outcome::provisioned,
               ExitCode::done, "The driver is loaded and its devices are present.", "Nothing to do."},
    ReasonInfo{Reason::no_image, "no-image", "82c284f345654c738b37ef1213cca84d", Outcome::degraded,
               ExitCode::nothing_fits, "No extension image for this driver is on the node.",
               "Put a signed image into /var/lib/driverext/inbox and run: systemctl restart driverext"},
    ReasonInfo{Reason::no_image_for_kernel, "no-image-for-kernel", "157cbbf3e7a649daa2c161a85409b3f3",
               Outcome::degraded, ExitCode::nothing_fits,
               "No extension image on the node was built for the running kernel.",
               "Provide an image for this kernel release, or boot the kernel that an image is there for."},
    ReasonInfo{Reason::userland_missing, "userland-missing", "c639872dc27d44c585f89a06765ec2cf", Outcome::degraded,
               ExitCode::nothing_fits,
               "The driver's modules for this kernel are here, but not the userland image that belongs to them.",
               "Put the userland image of the named version into /var/lib/driverext/inbox and run: systemctl restart "
               "driverext"},
    ReasonInfo{Reason::unsigned_image, "unsigned-image", "d484f7f0eeba41408ff1fb4c2988461e", Outcome::untrusted,
               ExitCode::untrusted, "The image carries no signature.", "Sign it with: driverext image sign"},
    ReasonInfo{Reason::untrusted_signer, "untrusted-signer", "e6f5dc02bd8f4297a166a23440fc726d", Outcome::untrusted,
               ExitCode::untrusted, "The image is signed, but not by a trust anchor of this node.",
               "If the signer should be trusted, place its valid certificate in /etc/driverext/trust and run: "
               "systemctl restart driverext; if not, find out who put the image here."},
    ReasonInfo{Reason::signature_invalid, "signature-invalid", "339a1047ffb04d0892f217056a088aa1", Outcome::untrusted,
               ExitCode::untrusted, "A signature in the image does not match what it signs.",
               "The image was altered or damaged; fetch it again from its publisher."},
    ReasonInfo{Reason::manifest_missing, "manifest-missing", "c8ac030a1f084562b05d2293d169316a", Outcome::untrusted,
               ExitCode::untrusted,
               "The image is signed, but it has no signed manifest: nothing says which driver and kernel it is for.",
               "Make it with driverext image build; what other tools make can only be looked at with driverext image "
               "verify --without-manifest."},
    ReasonInfo{Reason::manifest_mismatch, "manifest-mismatch", "b19bec720713434481d9f35e38011cf2", Outcome::untrusted,
               ExitCode::untrusted, "The signed statement does not belong to this image.",
               "The image was altered or put together wrongly; fetch it again from its publisher."},
    ReasonInfo{Reason::image_malformed, "image-malformed", "7886d321bccf429bb2dff27e630a19c8", Outcome::untrusted,
               ExitCode::untrusted, "The file is not a well-formed extension image.",
               "The file was cut short or damaged; fetch it again from its publisher."},
    ReasonInfo{Reason::unsafe_file, "unsafe-file", "7e985863436e4e3a8d7f7b708f332706", Outcome::untrusted,
               ExitCode::untrusted, "The image file could be changed by somebody other than root.",
               "Make it a regular file owned by root that nobody else can write: chown root:root, chmod 0644"},
    ReasonInfo{Reason::hash_tree_corrupt, "hash-tree-corrupt", "f63a00ff341545119186d7a46cc98f8a", Outcome::untrusted,
               ExitCode::untrusted, "The dm-verity hash tree of the image is damaged.",
               "The image was altered or the disk is failing; fetch the image again and check the disk."},
    ReasonInfo{Reason::data_corrupt, "data-corrupt", "02113a66e8e2413f8ba6d6248f8f33b1", Outcome::untrusted,
               ExitCode::untrusted, "A data block of the image does not match its signed hash.",
               "The image was altered or the disk is failing; fetch the image again and check the disk."},
    ReasonInfo{
        Reason::no_trust_anchor, "no-trust-anchor", "bd39dd125926403ab870cab4763158e9", Outcome::untrusted,
        ExitCode::untrusted, "The node has no trust anchor, so no image can be trusted.",
        "Place the publisher's certificate (PEM, *.crt) in /etc/driverext/trust and run: systemctl restart driverext"},
    ReasonInfo{Reason::signer_revoked, "signer-revoked", "234f39a1c2d94525800fdcdbc1368671", Outcome::untrusted,
               ExitCode::untrusted, "The certificate that signed the image has been revoked.",
               "Do not use the image; get one that its publisher signed with another key."},
    ReasonInfo{Reason::image_revoked, "image-revoked", "48110363111a41fb9a2d6e8dc8a8a12f", Outcome::untrusted,
               ExitCode::untrusted, "The image is well signed, but the trust policy of this node revokes it.",
               "Get a newer image of the driver; the revoked root hashes stand in trust/policy.toml."},
    ReasonInfo{Reason::version_too_old, "version-too-old", "e4133349954340a1abc03f93ac30bdc2", Outcome::untrusted,
               ExitCode::untrusted, "The driver in the image is older than the trust policy of this node accepts.",
               "Get a newer image of the driver; the minimum version stands in trust/policy.toml."},
    ReasonInfo{Reason::config_invalid, "config-invalid", "60a1943315a94eda99212c0df911d542", Outcome::degraded,
               ExitCode::bad_configuration, "The configuration cannot be used.",
               "Correct the named file and run: systemctl restart driverext"},
    ReasonInfo{Reason::kernel_feature_missing, "kernel-feature-missing", "14b71f0d30ec48ef9c79b6b94218dba7",
               Outcome::degraded, ExitCode::failed,
               "The running kernel lacks something that is needed to mount the image.",
               "Use a kernel with loop, dm-verity and squashfs support."},
    ReasonInfo{Reason::dependency_missing, "dependency-missing", "322d884dd48947329c49247c2c7d4b22", Outcome::degraded,
               ExitCode::failed, "An in-tree module that the driver depends on is not on this host.",
               "Use an image that was built for this OS, or an OS that ships the module."},
    ReasonInfo{Reason::module_conflict, "module-conflict", "8f1fafd7cac448f0ae71d407ad9e02ae", Outcome::degraded,
               ExitCode::failed, "A module of the same name that did not come from this image is loaded.",
               "Unload the other module, or reboot, then run: systemctl restart driverext"},
    ReasonInfo{Reason::module_load_failed, "module-load-failed", "7af26ad3f8f44ac8aaaec53a3b8bb331", Outcome::degraded,
               ExitCode::failed, "The kernel refused to load a module of the driver.",
               "See the kernel log for the module's own words: journalctl -k -b"},
    ReasonInfo{Reason::device_missing, "device-missing", "ec20d6a4d0734071910e47e872b8870c", Outcome::degraded,
               ExitCode::failed, "The driver loaded, but a device node that it should have made is missing.",
               "See the kernel log for the driver's own words: journalctl -k -b"},
    ReasonInfo{Reason::mount_conflict, "mount-conflict", "a70ba1bbe78549a1a53f6e9a84afd245", Outcome::degraded,
               ExitCode::failed, "Something else is attached or mounted where the image belongs.",
               "Remove what is in the way, or reboot, then run: systemctl restart driverext"},
    ReasonInfo{Reason::not_permitted, "not-permitted", "dde8e12462d24a6183522a1bd9113a90", Outcome::degraded,
               ExitCode::not_permitted, "driverext may not do this as the present user.", "Run it as root."},
    ReasonInfo{Reason::building, "building", "c203c8d27a6e4ce0839ffea8e50ec3df", Outcome::building, ExitCode::try_again,
               "No image fits this kernel; the driver is being built on this node.",
               "Wait; see how far it is with: driverext status"},
    ReasonInfo{Reason::fetching, "fetching", "91c47a5a297541bbac6d60e828430a37", Outcome::fetching, ExitCode::try_again,
               "No image on the node fits this kernel; one is being fetched from the channel.",
               "Wait; see how far it is with: driverext status"},
    ReasonInfo{Reason::put_aside, "put-aside", "8d1530d8ffa04968bacb0a83ae04c4cf", Outcome::degraded, ExitCode::failed,
               "Every image for this kernel has failed on this node and was put aside.",
               "Provide another image; to try the same one again, put it into /var/lib/driverext/inbox and run: "
               "systemctl restart driverext"},
    ReasonInfo{Reason::load_interrupted, "load-interrupted", "637f1bec535d4eacb4e87ed0d8f9d80d", Outcome::degraded,
               ExitCode::failed, "The node went down while this image was being loaded.",
               "Look for a crash in the kernel log of that boot: journalctl -k -b -1"},
    ReasonInfo{Reason::check_failed, "check-failed", "0036e3f56ef347cf8fcd8395feb96088", Outcome::degraded,
               ExitCode::failed, "The driver loaded, but its own check says that it does not work.",
               "Run the check by hand; see also: journalctl -k -b"},
    ReasonInfo{Reason::root_failed, "root-failed", "77245a1e19b24b46a821194d5f3613c5", Outcome::degraded,
               ExitCode::failed, "The driver root could not be put together.",
               "See the error text; once mended, run: systemctl restart driverext"},
    ReasonInfo{Reason::toolkit_config_invalid, "toolkit-config-invalid", "b0598c44cc4345fea68f6ebb0306c024",
               Outcome::degraded, ExitCode::failed,
               "A container engine's configuration file cannot be read, so nothing was added to it.",
               "Correct the named file, which was left as it is, and run: systemctl restart driverext"},
    ReasonInfo{Reason::merge_failed, "merge-failed", "41dfc4373da2434dab227befd5e091d4", Outcome::degraded,
               ExitCode::failed, "The extension could not be merged into the host's /usr.",
               "See what systemd-sysext says: systemd-sysext status; journalctl -u systemd-sysext"},
    ReasonInfo{Reason::build_failed, "build-failed", "0bd4b4a2604d440b9c4933cc5e2ede12", Outcome::degraded,
               ExitCode::failed, "The driver could not be built for this kernel on this node.",
               "See the whole log, which the message names; use a driver version that supports this kernel."},
    ReasonInfo{Reason::builder_missing, "builder-missing", "c49073f4391f4818ac06f34a7b90ba25", Outcome::degraded,
               ExitCode::nothing_fits, "The driver's source is here, but no builder image with this kernel's headers.",
               "Provide a builder image for this kernel release, or an image of the driver that was built for it."},
    ReasonInfo{Reason::channel_unreachable, "channel-unreachable", "df3b8ceb151f482ba361fe66cb464a62",
               Outcome::degraded, ExitCode::try_again, "The channel's server did not answer or has not got the file.",
               "Check the network and the URL in /etc/driverext/driverext.toml; it is tried again by itself."},
    ReasonInfo{Reason::index_untrusted, "index-untrusted", "ea341b3969144dfa9363328bb564fd40", Outcome::untrusted,
               ExitCode::untrusted, "The channel's index is not signed by a trust anchor of this node, or was altered.",
               "Find out who serves this channel; fetch the index again from its publisher."},
    ReasonInfo{Reason::index_expired, "index-expired", "f51d04cf3422491c81fc7384fdd6900b", Outcome::untrusted,
               ExitCode::untrusted, "The channel's index has expired: it may be an old one that somebody holds back.",
               "Publish the channel anew (driverext channel publish or rollout), or correct this node's clock."},
    ReasonInfo{Reason::index_rolled_back, "index-rolled-back", "19ab758e8d1e4ee5835090a540fd206f", Outcome::untrusted,
               ExitCode::untrusted, "The channel's index is older than one that this node has seen.",
               "Serve the newest index; a mirror may lag behind, or somebody replays an old one."},
    ReasonInfo{Reason::rollout_waiting, "rollout-waiting", "22377fc893b145bdb01e00a28f59f635", Outcome::degraded,
               ExitCode::try_again, "The channel has an image for this node, but it is not rolled out to it yet.",
               "Wait for the rollout to reach this node, or raise it with: driverext channel rollout"},
    ReasonInfo{Reason::no_image_in_channel, "no-image-in-channel", "106e85750f204fbaa3236c8c297f49a7",
               Outcome::degraded, ExitCode::nothing_fits, "The channel has no image of this driver for this kernel.",
               "Publish one with: driverext channel publish"},
    ReasonInfo{Reason::step_failed, "step-failed", "1a7e2079964c40ea8b80b075437d665d", Outcome::degraded,
               ExitCode::failed, "A step of the provision failed, or the host could not be looked at.",
               "See the error text; once mended, run: systemctl restart driverext"},
};

}  // namespace

std::span<const ReasonInfo> all_reasons() { return kReasons; }

const ReasonInfo& reason_info(Reason reason) { return kReasons[static_cast<size_t>(reason)]; }

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::provisioned:
      return "provisioned";
    case Outcome::fetching:
      return "fetching";
    case Outcome::building:
      return "building";
    case Outcome::degraded:
      return "degraded";
    case Outcome::untrusted:
      return "untrusted";
  }
  return "degraded";
}

}  // namespace driverext
