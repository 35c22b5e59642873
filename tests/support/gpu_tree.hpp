// What a machine with several GPUs shows in /proc: minors that do not follow the order of the addresses, and GPUs that
// are cut into instances (MIG), each with its capabilities.
#pragma once

#include <string>

#include "temp_dir.hpp"

namespace driverext::test {

struct GpuTree {
  unsigned gpus = 8;
  unsigned cut = 2;        ///< so many of them, those with the lowest minors
  unsigned instances = 7;  ///< of each that is cut, with one compute instance each
  unsigned switches = 0;
  std::string params =
      "ModifyDeviceFiles: 1\nDeviceFileUID: 0\nDeviceFileGID: 0\nDeviceFileMode: 438\nNvLinkDisable: 0\n"
      "ImexChannelCount: 2048\nCreateImexChannel0: 0\nRegistryDwords: \"\"\n";
};

/// The minor of the GPU that has the n-th address.
unsigned minor_of_gpu(const GpuTree& tree, unsigned n);
std::string address_of_gpu(unsigned n);
/// The minor of what guards an instance of a GPU, or (one more) its compute instance; numbered as the driver does.
unsigned capability_minor(unsigned gpu, unsigned instance);
std::string instance_folder(unsigned gpu, unsigned instance);

void plant_gpu_tree(const GpuTree& tree, const TempDir& into);

}  // namespace driverext::test
