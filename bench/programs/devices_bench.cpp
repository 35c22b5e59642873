// What it costs to have the device nodes follow the devices, for bench/devices.py and bench/gates.py: 8 GPUs that are
// cut into 56 instances, real nodes in a folder of their own. One job a run.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "kernel/linux_kernel.hpp"
#include "provisioner/device_event.hpp"
#include "support/gpu_tree.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;

const test::GpuTree kTree = {.cut = 8};
constexpr size_t kNodes = 9 + 8 + 2 * 56;
constexpr int kTurns = 15;

void plant(const test::TempDir& root) {
  test::plant_gpu_tree(kTree, root);
  test::write_file(root / "sys/module/nvidia/initstate", "live\n");
  test::write_file(root / "run/driverext/mounts/image", "");
  test::write_file(root / "etc/driverext/driverext.toml", "[driver]\nname = \"nvidia\"\n");
  test::write_file(root / "usr/lib/driverext/drivers/nvidia.toml", test::source_file("drivers/nvidia.toml"));
  test::write_file(root / "run/driverext/watched/nvidia", "");
  must(root.dir().make_dirs("dev/char", 0755));
}

double reconcile(const test::TempDir& root, size_t expected_changes) {
  const auto began = std::chrono::steady_clock::now();
  const auto kernel = make_linux_kernel(root.dir());
  const DeviceEvent event = must(reconcile_devices(root.dir(), *kernel, -1));
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - began;
  if (!event.is_ours || event.changes != expected_changes) {
    std::fprintf(stderr, "devices-bench: %zu changes, not %zu\n", event.changes, expected_changes);
    std::exit(1);
  }
  return took.count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int time_both() {
  std::vector<double> made;
  std::vector<double> again;
  for (int turn = 0; turn < kTurns; ++turn) {
    const test::TempDir root;
    plant(root);
    made.push_back(reconcile(root, kNodes));
    again.push_back(reconcile(root, 0));
  }
  std::printf("%.1f %.1f\n", median(made), median(again));
  return 0;
}

// For a count of instructions: what one more job costs than the one before it.
int job(const std::string& name) {
  const test::TempDir root;
  plant(root);
  if (name == "plant") return 0;
  reconcile(root, kNodes);
  if (name == "again") reconcile(root, 0);
  return 0;
}

}  // namespace
}  // namespace driverext

int main(int argc, char** argv) {
  const std::string name = argc == 2 ? argv[1] : "";
  if (name == "time") return driverext::time_both();
  if (name == "plant" || name == "make" || name == "again") return driverext::job(name);
  std::fputs("usage: devices-bench time | plant | make | again\n", stderr);
  return 2;
}
