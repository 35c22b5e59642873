// Reading TOML files strictly: unknown keys are errors that name file and line.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#ifndef TOML_EXCEPTIONS
#define TOML_EXCEPTIONS 0
#endif
// toml++ 3.3 asserts that a key begins where one is expected, and then looks whether it does: "[*" in a configuration
// file would end the program before it gets to its own error message. With NDEBUG the assertion is an assumption.
#ifdef NDEBUG
#error "toml++ must not be built with NDEBUG here"
#endif
#define TOML_ASSERT(expr) static_cast<void>(0)
#include <toml++/toml.h>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// `file` is only named in messages. Errors: Reason::config_invalid, "file:line: what".
Result<toml::table> parse_toml(std::string_view text, std::string_view file);

/// An absent file is Errc::not_found; text that is no TOML is Reason::config_invalid.
Result<toml::table> read_toml(const Dir& root, std::string_view name);

Result<void> only_keys(const toml::table& table, std::initializer_list<std::string_view> known, std::string_view file);
Result<std::string> toml_string(const toml::table& table, std::string_view key, std::string_view file);
/// An absent key is an empty string.
Result<std::string> toml_optional_string(const toml::table& table, std::string_view key, std::string_view file);

/// A string of printable characters, without line breaks: it goes into files that are read line by line.
Result<std::string> toml_line(const toml::table& table, std::string_view key, std::string_view file);

/// An absent table is nullptr.
Result<const toml::table*> toml_table(const toml::table& table, std::string_view key, std::string_view file);

/// An absent key is `otherwise`.
Result<bool> toml_bool(const toml::table& table, std::string_view key, bool otherwise, std::string_view file);
/// A list of strings; an absent key is an empty list.
Result<std::vector<std::string>> toml_strings(const toml::table& table, std::string_view key, std::string_view file);

/// A list of tables; an absent key is an empty list.
Result<std::vector<const toml::table*>> toml_tables(const toml::table& table, std::string_view key,
                                                    std::string_view file);
/// An absolute path as it is written, "/dev/x", relative to the root as it is used, "dev/x". Errors: it is not below
/// `folder` ("/dev/").
Result<std::string> toml_path_below(const toml::table& table, std::string_view key, std::string_view folder,
                                    std::string_view file);

/// An error of Reason::config_invalid: "file:line: what".
Error config_error(std::string_view file, const toml::source_region& where, std::string_view what);

}  // namespace driverext
