// Loop devices: a region of an open file as a read-only block device.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace driverext {

/// The loop device lives as long as this is open or something (device-mapper) uses it: autoclear.
struct LoopDevice {
  UniqueFd fd;
  std::string node;            ///< "/dev/loop3"
  uint64_t device_number = 0;  ///< dev_t of the node
};

/// Region in bytes; the offset must be a multiple of 512.
Result<LoopDevice> attach_loop(int file, uint64_t offset, uint64_t size);

}  // namespace driverext
