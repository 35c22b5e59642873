// import: verified files move from the inbox to the store, refused ones to quarantine.
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

bool waits_in_inbox(const RejectedImage& rejected) {
  return !rejected.quarantined && rejected.name.starts_with(kInbox);
}

class ImportStep final : public Step {
 public:
  explicit ImportStep(const StepContext& context) : context_(context) {}

  Result<Probe> probe() override {
    for (const KnownImage& known : context_.inventory.images) {
      if (known.place == Place::inbox) return Probe::needed;
    }
    for (const RejectedImage& rejected : context_.inventory.rejected) {
      if (waits_in_inbox(rejected)) return Probe::needed;
    }
    return Probe::satisfied;
  }

  Result<void> apply() override {
    for (const KnownImage& known : context_.inventory.images) {
      if (known.place == Place::inbox) TRY_VOID(keep(known));
    }
    for (const RejectedImage& rejected : context_.inventory.rejected) {
      if (waits_in_inbox(rejected)) TRY_VOID(quarantine(rejected));
    }
    return {};
  }

  // What was imported is verified and where it belongs; a later step's failure is no reason to
  // put it back among the unverified.
  Result<void> undo() override { return {}; }
  [[nodiscard]] bool stays_after_failure() const override { return true; }

 private:
  Result<void> keep(const KnownImage& known) {
    const std::string target = store_name(known.image);
    TRY(const auto there, context_.root.status(target));
    if (there) return context_.root.remove_file(known.name);  // the same root hash is there already
    TRY_VOID(context_.root.make_dirs(store_folder(known.image), 0755));
    return context_.root.rename(known.name, target);
  }

  Result<void> quarantine(const RejectedImage& rejected) {
    TRY_VOID(context_.root.make_dirs(kQuarantine, 0700));
    const std::string leaf = rejected.name.substr(kInbox.size() + 1);
    TRY(const std::string target, free_name(leaf.substr(0, leaf.size() - 4)));
    // The note first: a file in quarantine without one would have no reason to give.
    TRY_VOID(context_.root.write_atomic(target + ".reason.json", quarantine_note(rejected.error), 0644));
    return context_.root.rename(rejected.name, target);
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
};

}  // namespace

std::unique_ptr<Step> make_import_step(const StepContext& context) { return std::make_unique<ImportStep>(context); }

}  // namespace driverext
