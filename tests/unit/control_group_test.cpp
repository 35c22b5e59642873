// What /proc/PID/cgroup tells of a process: unit, container, pod.
#include "host/control_group.hpp"

#include <gtest/gtest.h>

namespace driverext {
namespace {

const std::string kId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

struct Case {
  std::string text;
  ControlGroup group;
};

void expect_groups(const std::vector<Case>& cases) {
  for (const Case& given : cases) {
    const ControlGroup group = parse_control_group(given.text);
    EXPECT_EQ(group.unit, given.group.unit) << given.text;
    EXPECT_EQ(group.container, given.group.container) << given.text;
    EXPECT_EQ(group.engine, given.group.engine) << given.text;
    EXPECT_EQ(group.pod, given.group.pod) << given.text;
  }
}

TEST(ControlGroup, UnitIsTheInnermostOne) {
  expect_groups({
      {"0::/system.slice/job.service\n", {"job.service", "", "", ""}},
      {"0::/system.slice/system-x.slice/x@0.service/worker\n", {"x@0.service", "", "", ""}},
      {"0::/user.slice/user-1000.slice/session-3.scope\n", {"session-3.scope", "", "", ""}},
      {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope\n", {"app-x.scope", "", "", ""}},
      {"0::/init.scope\n", {"init.scope", "", "", ""}},
      {"0::/\n", {}},
      {"", {}},
      {"nonsense", {}},
      {"0::\n1:", {}},
  });
}

TEST(ControlGroup, ContainersAreKnownByTheirEnginesNames) {
  expect_groups({
      {"0::/system.slice/docker-" + kId + ".scope\n", {"docker-" + kId + ".scope", kId, "docker", ""}},
      {"0::/machine.slice/libpod-" + kId + ".scope/container\n", {"libpod-" + kId + ".scope", kId, "libpod", ""}},
      {"0::/system.slice/web.service/libpod-payload-" + kId + "\n", {"web.service", kId, "libpod", ""}},
      {"0::/docker/" + kId + "\n", {"", kId, "docker", ""}},
      // What systemd does inside of it is its own business.
      {"0::/system.slice/docker-" + kId + ".scope/system.slice/inner.service\n",
       {"docker-" + kId + ".scope", kId, "docker", ""}},
      {"0::/machine.slice/libpod-conmon-" + kId + ".scope\n", {"libpod-conmon-" + kId + ".scope", "", "", ""}},
      {"0::/machine.slice/machine-my\\x2dbox.scope/payload\n", {"machine-my\\x2dbox.scope", "my-box", "machine", ""}},
      {"0::/machine.slice/systemd-nspawn@box.service/payload\n", {"systemd-nspawn@box.service", "box", "machine", ""}},
      {"0::/lxc.payload.box/init.scope\n", {"", "box", "lxc", ""}},
      {"0::/lxc/box\n", {"", "box", "lxc", ""}},
      // 63 digits, or another alphabet: no id.
      {"0::/docker/" + kId.substr(1) + "\n", {}},
      {"0::/system.slice/docker-x" + kId + ".scope\n", {"docker-x" + kId + ".scope", "", "", ""}},
  });
}

TEST(ControlGroup, PodsAreKnownInBothSpellings) {
  const std::string pod = "7f3a1c2e-0001-4444-8888-aaaaaaaaaaaa";
  const std::string in_slice = "7f3a1c2e_0001_4444_8888_aaaaaaaaaaaa";
  expect_groups({
      {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + in_slice + ".slice/cri-containerd-" +
           kId + ".scope\n",
       {"cri-containerd-" + kId + ".scope", kId, "cri-containerd", pod}},
      {"0::/kubepods.slice/kubepods-pod" + in_slice + ".slice/crio-" + kId + ".scope\n",
       {"crio-" + kId + ".scope", kId, "crio", pod}},
      // runc with a path that is not systemd's, below a parent that is.
      {"0::/kubepods-burstable-pod" + in_slice + ".slice:cri-containerd:" + kId + "\n",
       {"", kId, "cri-containerd", pod}},
      {"11:devices:/kubepods/besteffort/pod" + pod + "/" + kId + "\n", {"", kId, "kubepods", pod}},
  });
}

TEST(ControlGroup, OfVersion1ItIsTheOneThatSystemdManages) {
  expect_groups({
      {"12:pids:/somewhere/else/that/is/longer\n1:name=systemd:/system.slice/job.service\n0::/\n",
       {"job.service", "", "", ""}},
      {"12:devices:/docker/" + kId + "\n1:name=systemd:/docker/" + kId + "\n", {"", kId, "docker", ""}},
      {"4:memory:/\n3:devices:/docker/" + kId + "\n", {"", kId, "docker", ""}},
  });
}

}  // namespace
}  // namespace driverext
