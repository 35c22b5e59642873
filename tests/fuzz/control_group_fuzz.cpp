// The control groups of a process, which its own manager names.
#include "host/control_group.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const ControlGroup group = parse_control_group(input);
  for (const std::string* part : {&group.unit, &group.container, &group.engine, &group.pod}) {
    require(part->size() <= input.size() && part->find('\n') == std::string::npos);
  }
  require(input.find(group.unit) != std::string_view::npos);
  require(group.container.empty() || !group.engine.empty() || input.find(group.container) != std::string_view::npos);
}

std::vector<std::string> seeds() {
  const std::string id(64, 'a');
  return {"0::/system.slice/docker-" + id + ".scope/init.scope\n",
          "12:pids:/x\n1:name=systemd:/kubepods/besteffort/pod7f3a1c2e-0001-4444-8888-aaaaaaaaaaaa/" + id + "\n0::/\n",
          "0::/machine.slice/machine-my\\x2dbox.scope/payload\n", "0::/lxc.payload.box\n"};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(control_group, driverext::fuzz::run, driverext::fuzz::seeds)
