// Where the files of a driver package belong in an extension's usr/: decided from its manifest alone, as data.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "userland/installer_manifest.hpp"

namespace driverext {

/// How much of a package is wanted; each holds what those before it hold.
enum class UserlandClass {
  compute,   ///< computing and video libraries, management library and programs, firmware
  graphics,  ///< OpenGL, EGL, Vulkan, X, and the programs that configure them
  all,       ///< desktop files, units, other platforms' libraries
};
/// "compute", "graphics", "all". Errors: Errc::invalid_input.
Result<UserlandClass> userland_class_of_name(std::string_view name);

enum class Compat32 { leave_out, include };

struct PlacedFile {
  std::string source;  ///< relative to the package
  std::string target;  ///< relative to the tree, "usr/lib64/libcuda.so.580.65.06"
  unsigned mode = 0;   ///< 0755 or 0644
};

struct PlacedLink {
  std::string path;  ///< relative to the tree
  std::string text;  ///< what the link says
};

/// Files that are not taken, and the reason that they have in common.
struct LeftOut {
  std::string why;
  std::vector<std::string> paths;  ///< relative to the input
};

struct UserlandLayout {
  std::vector<PlacedFile> files;  ///< by target
  std::vector<PlacedLink> links;  ///< by path
  std::vector<LeftOut> left_out;
};

struct LayoutRequest {
  std::string driver;
  std::string version;
  UserlandClass wanted = UserlandClass::compute;
  Compat32 compat32 = Compat32::leave_out;
};

constexpr std::string_view kLibraries = "usr/lib64";
constexpr std::string_view kLibraries32 = "usr/lib";

/// Errors: Errc::invalid_input if two different files belong at one place.
Result<UserlandLayout> lay_out_package(const InstallerManifest& manifest, const LayoutRequest& request);

/// Takes out links that lead to nothing in the layout, and sorts it.
void finish_layout(UserlandLayout& layout);

/// Adds a file to the list with that reason.
void leave_out(UserlandLayout& layout, std::string_view why, std::string path);

}  // namespace driverext
