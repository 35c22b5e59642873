// Which unit and which container a process belongs to, as its control group's path tells: systemd and container engines
// put their names into it.
#pragma once

#include <string>
#include <string_view>

namespace driverext {

struct ControlGroup {
  std::string unit;       ///< systemd's innermost one outside of the container, "job.service"; empty: none
  std::string container;  ///< what its engine calls it: 64 hex digits; a name if it is a machine's. Empty: none
  std::string engine;     ///< as the path has it: "docker", "cri-containerd", "crio", "libpod", "machine"
  std::string pod;        ///< Kubernetes' id of the pod, with dashes; empty: none

  bool operator==(const ControlGroup&) const = default;
};

/// The text of /proc/PID/cgroup (cgroups(7)), of version 1, 2 or both. What is not understood is empty.
ControlGroup parse_control_group(std::string_view text);

}  // namespace driverext
