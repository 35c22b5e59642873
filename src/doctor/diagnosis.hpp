// Diagnoses as checks write them, and the questions that several of them ask of a host.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "doctor/check.hpp"

namespace driverext {

/// No file that a check reads as a whole is larger: configuration, lists of the kernel's.
constexpr size_t kMaxLook = size_t{8} << 20;

Diagnosis fine(std::string saw);
Diagnosis problem(std::string saw);
Diagnosis unknown(std::string saw);
Diagnosis not_applicable(std::string saw);
/// "first, second and 3 more"; a problem if there is any, else fine with `otherwise`.
Diagnosis problem_if_any(const std::vector<std::string>& found, std::string otherwise);
std::string listed(const std::vector<std::string>& found);

/// Why a check that needs the host's facts, or the driver's definition, has nothing to say.
Diagnosis without_facts(const DoctorInput& input);
Diagnosis without_definition(const DoctorInput& input);

/// Whether there is something of that name, at the end of links too.
bool is_there(const Dir& root, std::string_view name);
/// What a small file says, trimmed; nothing if there is none.
Result<std::optional<std::string>> text_of(const Dir& root, std::string_view name);
/// "/run/x/" → "run/x"; "" for the root itself.
std::string below_root(std::string_view absolute_path);

/// Places where something is mounted, relative to the root; nothing if the kernel does not show it.
Result<std::optional<std::vector<std::string>>> mount_places(const Dir& root);

/// The last provision of this boot ended well, and is what runs now.
bool is_provisioned(const DoctorInput& input);
std::string status_text(const DoctorInput& input, std::string_view member);

bool is_loaded(const Facts& facts, std::string_view module);
/// The definition's first module is loaded.
bool driver_runs(const DoctorInput& input);
/// As the module says itself, in sysfs; empty if it says none or is not loaded.
Result<std::string> loaded_version(const Dir& root, const std::string& module);

/// The manifest of the mounted image that the last provision used; nothing if there is none, or it is not mounted.
Result<std::optional<Manifest>> active_manifest(const DoctorInput& input);

/// Images of the configured driver for this kernel, in the store.
std::vector<const NodeImage*> images_for(const DoctorInput& input, std::string_view kernel_release);

}  // namespace driverext
