#include "gpu_tree.hpp"

#include <array>
#include <cstdio>

namespace driverext::test {
namespace {

constexpr const char* kProc = "proc/driver/nvidia/";
constexpr unsigned kFirstCapability = 3;
constexpr unsigned kInstancesOfAGpu = 15;
constexpr unsigned kPlacesOfAnInstance = 9;  // itself and up to eight compute instances
// As small instances are numbered on real GPUs.
constexpr unsigned kFirstInstance = 7;

void plant_capability(const TempDir& into, const std::string& name, unsigned minor, unsigned mode) {
  write_file(into / (kProc + ("capabilities/" + name)), "DeviceFileMinor: " + std::to_string(minor) +
                                                            "\nDeviceFileMode: " + std::to_string(mode) +
                                                            "\nDeviceFileModify: 1\n");
}

}  // namespace

unsigned minor_of_gpu(const GpuTree& tree, unsigned n) { return (n * 3 + 2) % tree.gpus; }

std::string address_of_gpu(unsigned n) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "0000:%02x:00.0", 0x1a + n * 0x11);
  return text.data();
}

unsigned capability_minor(unsigned gpu, unsigned instance) {
  return kFirstCapability + (gpu * kInstancesOfAGpu + kFirstInstance + instance) * kPlacesOfAnInstance;
}

std::string instance_folder(unsigned gpu, unsigned instance) {
  return "gpu" + std::to_string(gpu) + "/mig/gi" + std::to_string(kFirstInstance + instance);
}

void plant_gpu_tree(const GpuTree& tree, const TempDir& into) {
  write_file(into / "proc/devices",
             "Character devices:\n  1 mem\n 10 misc\n195 nvidia\n195 nvidiactl\n195 nvidia-modeset\n226 drm\n"
             "234 nvidia-caps-imex-channels\n235 nvidia-caps\n236 nvidia-nvlink\n237 nvidia-nvswitch\n"
             "511 nvidia-uvm\n\nBlock devices:\n  7 loop\n511 nvidia-uvm-tools\n");
  write_file(into / (std::string(kProc) + "params"), tree.params);
  write_file(into / "sys/module/nvidia_modeset/initstate", "live\n");
  plant_capability(into, "mig/config", 1, 0400);
  plant_capability(into, "mig/monitor", 2, 0444);
  plant_capability(into, "fabric-imex-mgmt", 4323, 0400);
  write_file(into / "proc/driver/nvidia-nvlink/permissions", "DeviceFileMode: 438\n");
  write_file(into / "proc/driver/nvidia-nvlink/capabilities/fabric-mgmt",
             "DeviceFileMinor: 0\nDeviceFileMode: 256\nDeviceFileModify: 1\n");
  write_file(into / "proc/driver/nvidia-nvswitch/permissions", "DeviceFileMode: 438\n");
  for (unsigned n = 0; n < tree.gpus; ++n) {
    const unsigned minor = minor_of_gpu(tree, n);
    write_file(into / (kProc + ("gpus/" + address_of_gpu(n)) + "/information"),
               "Model: \t\t Test GPU\nIRQ:   \t\t 41\nGPU UUID: \t GPU-" + std::to_string(n) + "\nBus Location: \t " +
                   address_of_gpu(n) + "\nDevice Minor: \t " + std::to_string(minor) + "\nGPU Excluded:\t No\n");
    if (minor >= tree.cut) continue;
    for (unsigned instance = 0; instance < tree.instances; ++instance) {
      const std::string folder = instance_folder(minor, instance);
      const unsigned capability = capability_minor(minor, instance);
      plant_capability(into, folder + "/access", capability, 0444);
      plant_capability(into, folder + "/ci0/access", capability + 1, 0444);
    }
  }
  for (unsigned n = 0; n < tree.switches; ++n) {
    write_file(into / ("proc/driver/nvidia-nvswitch/devices/" + address_of_gpu(n) + "/information"),
               "BIOS Version: N/A\n");
  }
}

}  // namespace driverext::test
