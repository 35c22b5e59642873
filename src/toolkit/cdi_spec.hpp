// The Container Device Interface: the file that tells container engines what a device is made of.
//
// Format: SPEC.md of cncf-tags/container-device-interface. Its schema is looser than the loader that containerd, CRI-O,
// docker and podman share, so what is checked here are the loader's rules: one fault, and it drops the whole file.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace driverext {

/// A character device. Its numbers are no part of a specification: see format_cdi_spec.
struct CdiNode {
  std::string path;                      ///< in the container
  std::optional<std::string> host_path;  ///< where it differs
  mode_t mode = 0;                       ///< permission bits; others are not looked at
  uid_t uid = 0;
  gid_t gid = 0;

  bool operator==(const CdiNode&) const = default;
};

/// A file or folder of the host, read-only in the container.
struct CdiMount {
  std::string host_path;
  std::string container_path;

  bool operator==(const CdiMount&) const = default;
};

struct CdiDevice {
  std::vector<std::string> names;  ///< "0" and a UUID, say: each becomes a device of its own
  std::vector<CdiNode> nodes;
};

struct CdiSpec {
  std::string kind;  ///< VENDOR/CLASS
  std::vector<CdiDevice> devices;
  std::vector<CdiNode> common_nodes;     ///< in the container with any of the devices
  std::vector<CdiMount> mounts;          ///< the same
  std::vector<std::string> environment;  ///< NAME=value
};

/// JSON, which is YAML too. Besides the given devices there is "all", which holds the nodes of every one. The version
/// is the lowest that has what is used, for the sake of old engines. Equal specifications have equal bytes, whatever
/// the order of their nodes and mounts; what stands there twice is written once.
///
/// Device numbers are left out: the engine then looks at the node when a container starts. A driver that is loaded
/// again can get another major number, and a written one would open some other device to the container; this way a
/// node that is gone is an error that says so. The type stays in as a check. Owners of number 0 are left out too: then
/// the engine makes the node in the container belong to the user that runs there.
///
/// Errors: Errc::invalid_input, if the loader would refuse it.
Result<std::string> format_cdi_spec(const CdiSpec& spec);

}  // namespace driverext
