// Files in /proc that drivers and the kernel report devices in, and finding the ones that match a pattern.
//
// Lines that say nothing are dropped, line ends may be those of other systems, and numbers are decimal: a driver that
// prints 438 means 0666.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

constexpr size_t kMaxReport = 65536;

/// Digits and nothing else.
std::optional<unsigned> decimal_number(std::string_view text);

struct DeviceNumber {
  unsigned major = 0;
  unsigned minor = 0;
};
/// "81:0", as files named "dev" in sysfs have it.
std::optional<DeviceNumber> parse_device_number(std::string_view text);

/// Character devices by name: the part of /proc/devices between its two headings. Of several lines with one name the
/// first counts.
std::map<std::string, unsigned> parse_proc_devices(std::string_view text);

/// Minor numbers by name, as /proc/misc lists them.
std::map<std::string, unsigned> parse_proc_misc(std::string_view text);

/// "Key: value" lines; blanks around both are dropped, lines without a colon too. The first of a key counts.
std::map<std::string, std::string> parse_key_values(std::string_view text);

/// Names that match "proc/driver/x/*/information", sorted within each folder: of each part "*", "?" and "[]" are as in
/// shells, "**" alone is any number of folders. What follows the last wildcard need not be there. Errors:
/// Errc::invalid_input for more than a driver can mean.
Result<std::vector<std::string>> find_matching(const Dir& root, const std::string& pattern);

}  // namespace driverext
