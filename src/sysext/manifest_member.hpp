// How the manifest's members are read: names, free text, digests and lists, each with its limits.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.hpp"
#include "base/result.hpp"

namespace driverext {

/// Lengths of free text.
constexpr size_t kMaxText = 256;
constexpr size_t kMaxLongText = 1024;
/// Entries of a list.
constexpr size_t kMaxModules = 1000;
constexpr size_t kMaxEntries = 20'000;
/// Images that one was built from: a source and a builder, with room for more.
constexpr size_t kMaxBuiltFrom = 8;

/// Free text ends up on terminals: printable ASCII only. Errors: Errc::invalid_input.
Result<void> check_text(std::string_view what, std::string_view text, size_t max_size = kMaxText);
/// Lower-case hexadecimal of that many digits.
Result<void> check_hex(std::string_view what, std::string_view text, size_t digits);

/// A name (check_name), or nothing where the member is absent.
Result<std::string> optional_name(const Json& object, const char* member);
/// Free text that is not empty, or nothing where the member is absent: of two ways to say nothing one is an error.
Result<std::string> optional_text(const Json& object, const char* member, size_t max_size = kMaxText);
/// A list of free text, without an empty one; an absent member is an empty list, an empty list an error.
Result<std::vector<std::string>> optional_texts(const Json& object, const char* member);
/// A list of 1 to `max_count` entries.
Result<const Json*> filled_list(const Json& object, const char* member, size_t max_count);

}  // namespace driverext
