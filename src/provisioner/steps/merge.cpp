// merge: systemd-sysext shows the extension's programs on the host's own /usr.
//
// systemd-sysext is not given the image but the directory where the kernel reads it through dm-verity: it would mount
// an image of its own accord, and by other rules. What it has merged is compared with what was meant, because its exit
// code says nothing.
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

constexpr unsigned kTimeoutSec = 120;

class MergeStep final : public Step {
 public:
  explicit MergeStep(const StepContext& context)
      : context_(context),
        link_("run/extensions/" + extension_name(context.userland->identity())),
        target_("../driverext/mounts/" + context.userland->identity().root_hash) {}

  Result<Probe> probe() override {
    TRY(before_, context_.root.read_link(link_));
    TRY(const auto there, context_.root.status(link_));
    if (there && !before_) {
      return make_error(Errc::conflict, Reason::merge_failed, context_.root.path_of(link_) + " is not driverext's");
    }
    TRY(const bool merged, is_merged());
    return before_ == target_ && merged ? Probe::satisfied : Probe::needed;
  }

  Result<void> apply() override {
    TRY_VOID(refuse_own_settings());
    changed_ = true;
    TRY_VOID(context_.root.make_link(target_, link_));
    TRY(const std::string words, refresh());
    TRY(const bool merged, is_merged());
    if (merged) return {};
    return make_error(Errc::incompatible, Reason::merge_failed,
                      "systemd-sysext did not merge " + link_ + (words.empty() ? "" : ": " + words));
  }

  Result<void> undo() override {
    if (!changed_) return {};
    changed_ = false;
    if (before_) {
      TRY_VOID(context_.root.make_link(*before_, link_));
    } else {
      TRY_VOID(context_.root.remove_file(link_));
    }
    TRY(const std::string words, refresh());
    (void)words;
    return {};
  }

 private:
  // image build refuses these too; another tool may have made the image. On the host's /usr they would say whom to
  // trust, or hide what the OS says of it. A whiteout shows as a file of that name.
  Result<void> refuse_own_settings() {
    for (const char* name : {"usr/lib/driverext/trust", "usr/lib/driverext/driverext.toml.d"}) {
      TRY(const auto there, context_.root.status(mount_name(context_.userland->identity()) + "/" + name));
      if (!there) continue;
      return make_error(Errc::incompatible, Reason::merge_failed,
                        "the image brings " + std::string(name) + ", which is the host's to say; it is not merged");
    }
    return {};
  }

  Result<std::string> refresh() {
    Result<std::string> refreshed =
        context_.programs.run({.argv = {"systemd-sysext", "refresh"}, .timeout_sec = kTimeoutSec});
    if (!refreshed) refreshed.error().reason = Reason::merge_failed;
    return refreshed;
  }

  // The manifest that the host's /usr shows is this image's.
  Result<bool> is_merged() {
    TRY(const auto text, context_.root.read_if_there(kManifestPath, kMaxManifestSize));
    TRY(const std::string signed_text, context_.userland->manifest_text());
    return text == signed_text;
  }

  const StepContext& context_;
  std::string link_;
  std::string target_;
  std::optional<std::string> before_;
  bool changed_ = false;
};

}  // namespace

std::unique_ptr<Step> make_merge_step(const StepContext& context) { return std::make_unique<MergeStep>(context); }

}  // namespace driverext
