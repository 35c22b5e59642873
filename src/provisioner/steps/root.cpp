// root: the driver root is the one of this image.
#include "provisioner/driver_root.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

class RootStep final : public Step {
 public:
  explicit RootStep(const StepContext& context)
      : context_(context),
        place_(context.definition.root->path),
        root_(context.root, context.kernel, context.programs, mount_name(context.userland->identity()),
              context.userland->identity().root_hash, place_) {}

  Result<Probe> probe() override {
    TRY(const auto mounted, find_driver_root(context_.kernel, context_.root, place_));
    if (!mounted || mounted->stacked != 1) return Probe::needed;
    // Another image's, or one whose image cannot be read any more: it makes room.
    const auto manifest = context_.root.read_if_there(place_ + "/" + std::string(kManifestPath), kMaxManifestSize);
    TRY(const std::string signed_text, context_.userland->manifest_text());
    return manifest && *manifest == signed_text ? Probe::satisfied : Probe::needed;
  }

  Result<void> apply() override {
    Result<Placing> placed = root_.build_and_place();
    if (placed) {
      was_missing_ = *placed == Placing::swapped;
      return {};
    }
    if (!placed.error().reason) placed.error().reason = Reason::root_failed;
    return std::move(placed).error();
  }

  Result<void> undo() override { return root_.undo(); }

  [[nodiscard]] std::string remark() const override {
    return was_missing_ ? "for a moment there was none at /" + place_ + ", which Linux 6.5 and later do without" : "";
  }

 private:
  const StepContext& context_;
  std::string place_;
  DriverRoot root_;
  bool was_missing_ = false;
};

}  // namespace

std::unique_ptr<Step> make_root_step(const StepContext& context) { return std::make_unique<RootStep>(context); }

}  // namespace driverext
