// Device-mapper by ioctl: the four calls that a verity device needs (linux/dm-ioctl.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace driverext::dm {

struct Table {
  std::string type;        ///< target type, "verity"
  uint64_t sectors = 0;    ///< length
  std::string parameters;  ///< as the kernel prints them
};

struct Device {
  uint64_t device_number = 0;
  Table table;
  std::string status;  ///< target's own status words
  bool read_only = false;
};

/// Makes a read-only device with this one-target table and lets it run. Removed again on failure.
/// Errors: Reason::kernel_feature_missing if the kernel has no device-mapper or no such target, and cannot load it.
Result<uint64_t> create(const std::string& name, const Table& table);
/// Nothing if there is none of that name, or one that never got a table.
Result<std::optional<Device>> find(const std::string& name);
/// Removed as soon as its last user has gone: udev may be looking at it just now.
Result<void> remove(const std::string& name);

/// Whether a target stands in what the kernel answers to DM_LIST_VERSIONS: struct dm_target_versions, one linked to the
/// next by its offset.
bool lists_target(ByteSpan versions, std::string_view type);

}  // namespace driverext::dm
