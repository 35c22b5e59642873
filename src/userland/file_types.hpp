// What the types of files in a driver package are, and where each belongs: one table.
#pragma once

#include <span>
#include <string_view>

#include "userland/installer_manifest.hpp"
#include "userland/layout.hpp"

namespace driverext {

struct FileTypeRule {
  std::string_view type;  ///< a "*" at one end stands for anything
  UserlandClass wanted_by = UserlandClass::compute;
  /// Where it goes. {lib}: usr/lib64, or usr/lib for 32 bit; {driver}, {version}; {folder}: what the manifest states.
  std::string_view folder = {};
  std::string_view link_prefix = {};  ///< put before what a link says
  std::string_view why_not = {};      ///< never taken
  bool is_module_source = false;
};

std::span<const FileTypeRule> file_type_rules();

/// The rule for a file; nothing if its type is not known.
const FileTypeRule* find_file_type(const PackagedFile& file);

/// By the rule, unless the part of the driver that the file belongs to says more.
UserlandClass class_of(const FileTypeRule& rule, const PackagedFile& file);

}  // namespace driverext
