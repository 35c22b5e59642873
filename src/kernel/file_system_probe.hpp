// What file system is on a device, by libblkid's safe probing. Only ever asked of what dm-verity guards, or of what was
// checked as a whole: nothing but our own parsers touches a file before that.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace driverext {

/// The one file system in a region of an open file or device; `size` 0 means all of it. It must be one that an image
/// may hold. Errors: Reason::image_malformed if there is none, more than one, or another; Reason::data_corrupt if it
/// cannot be read.
Result<std::string> probe_file_system(int fd, uint64_t offset, uint64_t size, const std::string& what);

}  // namespace driverext
