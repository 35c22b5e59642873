// Reading a host's files as facts: what is not there, cannot be read or is too large is simply not known.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/dir.hpp"

namespace driverext {

/// What the kernel shows in /proc and /sys about one thing, and small files.
constexpr size_t kMaxFact = size_t{1} << 20;

/// One kernel of a host.
struct AskedKernel {
  std::string release;
  std::string architecture;  ///< as systemd spells it
  bool is_running = true;
};

std::optional<std::string> read_fact(const Dir& root, std::string_view name, size_t max_size = kMaxFact);

/// A file beside a kernel's modules, by the two names that it can have below a root: lib is a link to usr/lib on most
/// hosts, but not where the two were never merged.
std::vector<std::string> beside_modules(const std::string& kernel_release, std::string_view name);

/// The first of these files that can be read.
std::optional<std::string> read_first_fact(const Dir& root, const std::vector<std::string>& names, size_t max_size);

/// Lines without their line breaks. Text that does not end with one has lost something: its last line is there too.
std::vector<std::string_view> lines_of(std::string_view text);
/// What stands between blanks and tabs.
std::vector<std::string_view> words_of(std::string_view line);

}  // namespace driverext
