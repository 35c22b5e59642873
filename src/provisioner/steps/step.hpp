// Step: one reversible part of a provision.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "driver/definition.hpp"
#include "host/facts.hpp"
#include "kernel/kernel.hpp"
#include "modules/host_modules.hpp"
#include "provisioner/config.hpp"
#include "provisioner/inventory.hpp"
#include "provisioner/plan.hpp"
#include "provisioner/state.hpp"
#include "sys/programs.hpp"

namespace driverext {

/// What a probe finds. Something else in the way is an error: Errc::conflict.
enum class Probe { satisfied, needed };

/// All that steps may use. Outlives them.
struct StepContext {
  const Dir& root;
  Kernel& kernel;
  HostModules& host_modules;
  Programs& programs;
  const Facts& facts;
  const Config& config;
  const Definition& definition;
  const Inventory& inventory;
  StateFile& state;
  const KnownImage* image = nullptr;     ///< the chosen one; none in a plan without
  const KnownImage* userland = nullptr;  ///< the one with the driver's user part: `image`, another one, or none
  int cancel_fd = -1;                    ///< readable: no further step, and no longer wait for a program
  int64_t now = 0;                       ///< seconds since 1970
  uint64_t deadline_usec = 0;            ///< CLOCK_MONOTONIC; no step begins later. 0: none

  /// How long a program may run: its own limit, or what is left until the deadline.
  [[nodiscard]] unsigned seconds_for(unsigned limit) const;
};

class Step {
 public:
  Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  virtual ~Step() = default;

  /// Looks, and changes nothing. Compares identity (root hash, build id, device number), not shape.
  virtual Result<Probe> probe() = 0;
  /// Does what is needed; a failure half-way is left for undo().
  virtual Result<void> apply() = 0;
  /// Takes back what apply() did, as far as it came.
  virtual Result<void> undo() = 0;
  /// A step whose result is right whatever happens after it is not undone.
  [[nodiscard]] virtual bool stays_after_failure() const { return false; }
  /// What else a person should know of how it went; mostly nothing.
  [[nodiscard]] virtual std::string remark() const { return {}; }
};

std::unique_ptr<Step> make_import_step(const StepContext& context);
std::unique_ptr<Step> make_verify_step(const StepContext& context);
std::unique_ptr<Step> make_attach_step(const StepContext& context);
std::unique_ptr<Step> make_evict_step(const StepContext& context);
std::unique_ptr<Step> make_firmware_step(const StepContext& context);
std::unique_ptr<Step> make_load_step(const StepContext& context);
std::unique_ptr<Step> make_devices_step(const StepContext& context);
std::unique_ptr<Step> make_root_step(const StepContext& context);
std::unique_ptr<Step> make_check_step(const StepContext& context);
std::unique_ptr<Step> make_toolkit_step(const StepContext& context);
std::unique_ptr<Step> make_merge_step(const StepContext& context);
std::unique_ptr<Step> make_contract_step(const StepContext& context);
std::unique_ptr<Step> make_commit_step(const StepContext& context);

/// A folder for each image that is mounted, named by its root hash. Sources and builders lie there too.
constexpr const char* kImageMounts = "run/driverext/mounts";

/// Name of the dm-verity device of an image, and where it is mounted (relative to the root).
std::string verity_name(const ImageIdentity& image);
std::string mount_name(const ImageIdentity& image);

/// Where the kernel is to look for firmware first, by the definition; nothing: it says nothing of it.
std::optional<std::string> wanted_firmware_path(const Definition& definition, const ImageIdentity& user_part);

/// A file that a provision writes on request, with what is in it.
struct ContractFile {
  std::string name;
  std::string text;
};
std::vector<ContractFile> contract_files(const Definition& definition, const std::string& version);

/// The image's dm-verity device, if it is there. Errors: Errc::conflict if a device of its name
/// runs over another root hash, Reason::data_corrupt if the kernel has met a wrong block in it.
Result<std::optional<VerityDevice>> find_active(Kernel& kernel, const ImageIdentity& image);

}  // namespace driverext
