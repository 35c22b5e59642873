// Text: names that are safe to put into a path, and small helpers for lines and fields.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace driverext {

/// Letters, digits and ". _ + - ~", not starting with a dot, 1..128 characters: fit for one path
/// component. Errors: Errc::invalid_input that names `what` and the offending text.
Result<void> check_name(std::string_view what, std::string_view name);

/// A relative path inside an image: components as check_name, no "." or "..", at most 1024 bytes.
Result<void> check_relative_path(std::string_view what, std::string_view path);

/// For terminals, journals and status lines: line breaks become spaces, other control characters and bytes that are no
/// UTF-8 become \xNN. What stands in a file or its name cannot move the cursor or fake a line of its own.
std::string printable(std::string_view text);

std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

/// The value of KEY= in os-release syntax, without its quotes; empty if absent.
std::string env_value(std::string_view text, std::string_view key);

/// 1536 → "1.5 KiB", for people.
std::string human_size(uint64_t bytes);

/// Seconds since 1970 → "2027-01-15 08:00 UTC", for people.
std::string utc_text(int64_t seconds);

/// The one of `words` that was probably meant by a word that is none of them; empty if none is near.
std::string closest_word(std::string_view word, const std::vector<std::string_view>& words);

/// Kernel module names use "_" and "-" as the same character; this is the form of /proc/modules.
std::string module_name_form(std::string_view name);
/// "kernel/drivers/md/dm-verity.ko.xz" → "dm_verity"
std::string module_name_of_path(std::string_view path);

}  // namespace driverext
