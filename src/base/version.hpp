// Versions of drivers as their makers write them: 580.65.06, 6.2.3-1.
#pragma once

#include <optional>
#include <string_view>

namespace driverext {

/// Digits with single dots between them.
bool is_dotted_number(std::string_view text);

/// Below, at or above zero, as `version` is older than, the same as or newer than `other`. Compared are the dotted
/// numbers that both begin with, as numbers and part by part: 580.65.06 is older than 580.159.04. A part that one of
/// them lacks is 0. What follows the numbers ("-1", "~rc2") does not count. Nothing if one does not begin with a
/// number.
std::optional<int> compare_versions(std::string_view version, std::string_view other);

/// Below, at or above zero, by the rules of the UAPI.10 version format specification, which systemd and its update
/// tools follow: "~" before everything, then the end, then "-", "^" and ".", then letters, then numbers. Any two texts
/// compare.
int order_of_versions(std::string_view version, std::string_view other);

}  // namespace driverext
