// Whole hosts as trees of files: one readable text each, in tests/fixtures/hosts/NAME.tree.
//
// Lines before the first section are comments. "== PATH" begins a file, whose content are the lines up to the next
// section; "== PATH hex" one whose content is binary.
#pragma once

#include <string>
#include <vector>

#include "temp_dir.hpp"

namespace driverext::test {

/// Sorted: "arm64", "debian-12", ...
std::vector<std::string> fixture_host_names();

/// Puts the host's files below `into`. Throws if there is no such host, or its text is malformed.
void plant_fixture_host(const std::string& name, const TempDir& into);
/// The same of another text of this form, by its name in the source tree.
void plant_tree(const std::string& file, const TempDir& into);

}  // namespace driverext::test
