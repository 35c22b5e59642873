// import: verified files move to the store, refused ones from the inbox to quarantine.
#include <algorithm>

#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

// Moved aside is what is wrong in itself. A file that merely could not be read stays where it is.
bool belongs_in_quarantine(const RejectedImage& rejected) {
  return rejected.place == Place::inbox && rejected.error.code == Errc::untrusted;
}

class ImportStep final : public Step {
 public:
  explicit ImportStep(const StepContext& context) : context_(context) {}

  Result<Probe> probe() override {
    const Inventory& inventory = context_.inventory;
    const bool needed = std::any_of(inventory.images.begin(), inventory.images.end(),
                                    [&](const KnownImage& known) { return is_to_be_kept(known); }) ||
                        std::any_of(inventory.rejected.begin(), inventory.rejected.end(),
                                    [&](const RejectedImage& rejected) { return is_to_be_quarantined(rejected); });
    return needed ? Probe::needed : Probe::satisfied;
  }

  // A file that cannot be moved holds nothing up: what was verified is used from where it lies, what was refused is not
  // used anywhere.
  Result<void> apply() override {
    for (const KnownImage& known : context_.inventory.images) {
      if (is_to_be_kept(known)) note(keep(known));
    }
    for (const RejectedImage& rejected : context_.inventory.rejected) {
      if (is_to_be_quarantined(rejected)) note(quarantine(rejected));
    }
    return {};
  }

  // What was imported is verified and where it belongs; a later step's failure is no reason to put it back among the
  // unverified.
  Result<void> undo() override { return {}; }
  [[nodiscard]] bool stays_after_failure() const override { return true; }
  [[nodiscard]] std::string remark() const override { return remark_; }

 private:
  // Of one inventory a second plan can be made, after an image failed: what the first one has moved is where it
  // belongs.
  [[nodiscard]] bool is_still_there(const std::string& name) const {
    const auto there = context_.root.status(name);
    return !there || *there;
  }
  [[nodiscard]] bool is_to_be_kept(const KnownImage& known) const {
    return known.place != Place::store && is_still_there(known.name);
  }
  [[nodiscard]] bool is_to_be_quarantined(const RejectedImage& rejected) const {
    return belongs_in_quarantine(rejected) && is_still_there(rejected.name);
  }

  void note(const Result<void>& result) {
    if (!result) remark_ += (remark_.empty() ? "" : "; ") + result.error().message();
  }

  Result<void> keep(const KnownImage& known) {
    // What is there under this root hash is damaged, or the inventory has found this one whole.
    TRY(const VerifiedImage* image, known.open());
    TRY_VOID(move_to_store(context_.root, known.name, *image, Origin::local));
    if (known.place == Place::quarantine) return context_.root.remove_file(quarantine_note_name(known.name));
    return {};
  }

  Result<void> quarantine(const RejectedImage& rejected) {
    TRY_VOID(context_.root.make_dirs(kQuarantine, 0700));
    const std::string leaf = rejected.name.substr(kInbox.size() + 1);
    // Room for ".999.raw.reason.json" and what a temporary file adds: a file name has 255 bytes at most.
    constexpr size_t kMaxStem = 200;
    TRY(const std::string target, free_name(leaf.substr(0, std::min(leaf.size() - 4, kMaxStem))));
    // The note first: a file in quarantine without one would have no reason to give.
    TRY_VOID(context_.root.write_atomic(quarantine_note_name(target), quarantine_note(rejected.error), 0644));
    Result<void> moved = context_.root.rename(rejected.name, target);
    if (moved) return moved;
    // The note goes with the file: away again, unless the file did get there and only the sync failed.
    const Result<std::optional<struct stat>> there = context_.root.status(target);
    if (there && !*there) (void)context_.root.remove_file(quarantine_note_name(target));
    return moved;
  }

  Result<std::string> free_name(const std::string& stem) {
    constexpr int kAttempts = 1000;
    for (int i = 0; i < kAttempts; ++i) {
      std::string name = std::string(kQuarantine) + "/" + stem + (i == 0 ? "" : "." + std::to_string(i)) + ".raw";
      TRY(const auto there, context_.root.status(name));
      if (!there) return name;
    }
    return make_error(Errc::conflict, "quarantine holds too many files named " + stem + "; empty it");
  }

  const StepContext& context_;
  std::string remark_;
};

}  // namespace

std::unique_ptr<Step> make_import_step(const StepContext& context) { return std::make_unique<ImportStep>(context); }

}  // namespace driverext
