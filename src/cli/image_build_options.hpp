// The command line of driverext image build.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "cli/key_options.hpp"
#include "sysext/image_builder.hpp"
#include "userland/layout.hpp"

namespace driverext::cli {

struct ImageBuildOptions {
  // What goes in; paths, empty if not given.
  std::string modules;
  std::string dkms;
  std::string userland;
  std::string tree;
  std::string file_system;
  std::string definition;

  // What it is for.
  std::optional<Kind> kind;  ///< none: what the inputs make it
  std::string manifest;
  ManifestInput stated;  ///< in its place, or in place of some of its members
  bool belongs_to_userland = false;

  // How the parts are made.
  std::string kernel;
  std::string builder;
  UserlandClass wanted = UserlandClass::compute;
  std::string module_sources;
  Compat32 compat32 = Compat32::leave_out;

  // The image.
  FileSystem type = FileSystem::squashfs;
  std::optional<int> level;
  KeyOptions key;
  std::string output;

  bool operator==(const ImageBuildOptions&) const = default;
};

/// Nothing on the command line is looked at twice: what it returns is consistent. An exit code if the command line ends
/// the matter.
std::variant<ImageBuildOptions, int> parse_image_build(int argc, char** argv);

}  // namespace driverext::cli
