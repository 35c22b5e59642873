// What a driver definition says of the driver's user part: driver root, what shows that it works, container engines.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace driverext {

/// A file that says to others that the driver is there.
struct DefinedContractFile {
  std::string file;  ///< "run/nvidia/validations/driver-ready"
  std::string text;  ///< "{root}" is the driver root's absolute path, "{version}" the driver's
};

/// A directory that looks like a root file system with the driver's user part.
struct DefinedRoot {
  std::string path;  ///< "run/nvidia/driver"
  /// What the vendor's own tools look for, written if the configuration asks for it.
  std::vector<DefinedContractFile> contract = {};
};

/// What container engines are told.
struct DefinedToolkit {
  std::string cdi_kind;                ///< "nvidia.com/gpu"; empty: no CDI spec
  std::string cdi_file;                ///< "run/cdi/nvidia.yaml"
  std::vector<std::string> libraries;  ///< file name patterns; "{version}" is the driver's
  std::vector<std::string> programs;
  std::string config_file;  ///< of the vendor's own toolkit: where it reads the driver root; empty: none
  std::string config_table;
  std::string config_key;
  std::string runtime_name;  ///< entry for container engines; empty: none
  std::string runtime_path;
};

/// What shows that the driver works.
enum class BuiltinCheck {
  modules,   ///< every module of the image is live
  nodes,     ///< every device node that is made here can be opened
  versions,  ///< modules and user part say that they are of one version
};

struct DefinedCheck {
  std::vector<BuiltinCheck> builtin = {BuiltinCheck::modules};
  std::vector<std::string> command;  ///< run inside the driver root; empty: none
  unsigned timeout_sec = 60;
};

/// A service that runs a program of the driver root and holds the driver while it does.
struct DefinedDaemon {
  std::string name;        ///< for people
  std::string unit;        ///< "x.service", or a pattern of systemctl(1) for the instances of one: "x@*.service"
  unsigned stop_sec = 10;  ///< how long it may take to end before the driver's unload gives up
};

struct UserPart {
  std::optional<DefinedRoot> root;
  DefinedCheck check;
  std::optional<DefinedToolkit> toolkit;
  std::vector<DefinedDaemon> daemons;  ///< in the order in which they are started
};

}  // namespace driverext
