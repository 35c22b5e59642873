// What an unload has to do, and what forbids it: a pure function of what was found on the host.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "driver/device_nodes.hpp"
#include "host/holders.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {

/// A loaded module that has to go.
struct UnloadModule {
  ModuleUse use;
  enum class Whose {
    driver,  ///< the definition names it
    other,   ///< it uses one of those, or only came with the image
  };
  Whose whose = Whose::driver;
  /// Where it is loaded from again should the unload fail half-way; empty: modprobe knows.
  std::string path;
  std::string parameters;
};

struct RunningDaemon {
  std::string unit;
  unsigned stop_sec = 0;  ///< it has this long to end
};

/// An image of the driver that a provision left attached.
struct AttachedImage {
  std::string root_hash;
  std::string version;
  bool is_mounted = false;
};

struct UnloadFacts {
  std::string driver;
  std::string version;  ///< of the image that the modules came from; empty: not known
  std::vector<UnloadModule> modules;
  ProcessHolders holders;
  std::vector<RunningDaemon> daemons;        ///< in the order in which they are started
  bool is_watched = false;                   ///< udev's events bring its device nodes up to date
  std::vector<StaleNode> nodes;              ///< those that will lead nowhere, or do already
  std::optional<std::string> modprobe_file;  ///< what it says
  bool others_are_kept_away = false;         ///< a file keeps the driver's competitors from being loaded
  std::vector<std::string> merged;           ///< links that systemd-sysext merges, relative to the root
  std::string firmware_path;                 ///< where the kernel looks for firmware first, if that is the driver's
  std::string cdi_file;                      ///< relative to the root, if it is there
  std::vector<ContractFile> contract_files;  ///< those that are there as a provision writes them
  std::string driver_root;                   ///< the same
  std::vector<AttachedImage> images;
  std::vector<std::string> stays;  ///< sentences: what is not taken away
};

enum class UnloadStepKind {
  // Until here all can be taken back...
  stop_daemon,
  remove_contract,
  forget_modprobe,
  remove_module,
  // ...and from here on the driver is gone: what fails is left over.
  unmerge,
  allow_others,
  reset_firmware,
  remove_node,
  stop_watching,
  remove_cdi,
  remove_root,
  release_image,
};
std::string_view unload_step_name(UnloadStepKind kind);
bool can_be_taken_back(UnloadStepKind kind);

struct PlannedUnload {
  UnloadStepKind kind = UnloadStepKind::remove_module;
  std::string subject;  ///< unit, module, path
  std::string why;
  size_t index = 0;  ///< of the subject in its list of facts
};

struct UnloadPlan {
  std::vector<std::string> in_use;  ///< who is in the way, a sentence each; empty: nobody
  std::vector<PlannedUnload> steps;
};

UnloadPlan plan_unload(const UnloadFacts& facts);

}  // namespace driverext
