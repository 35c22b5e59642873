// Configuration and driver definition, read as the files that they are.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "driver/definition.hpp"
#include "provisioner/config.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

namespace fs = std::filesystem;

class Root {
 public:
  Root() {
    std::string path = (fs::temp_directory_path() / "driverext-fuzz-XXXXXX").string();
    require(::mkdtemp(path.data()) != nullptr);
    path_ = path;
    fs::create_directories(path_ / "etc/driverext/drivers");
    fs::create_directories(path_ / "usr/lib/driverext");
    // One file under both names.
    fs::create_symlink("../driverext.toml", path_ / "etc/driverext/drivers/cam.toml");
  }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;
  ~Root() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

bool stays_below(const std::string& path, std::string_view folder) {
  return path.starts_with(folder) && path.size() > folder.size() && path.find("/../") == std::string::npos &&
         !path.ends_with("/..");
}

void require_usable(const Definition& definition) {
  require(definition.name == "cam" && !definition.modules.empty());
  for (const DefinedDevice& device : definition.devices) {
    if (!device.device_class.empty()) {
      require(stays_below(device.device_class, "sys/class/"));
    } else {
      require(stays_below(device.node, "dev/"));
      require(!device.misc.empty() || stays_below(device.sysfs_number, "sys/"));
    }
    require(!device.mode || *device.mode <= 0777);
  }
  for (const DefinedNode& node : definition.nodes) {
    require(stays_below(node.node, "dev/") && !node.registered_as.empty());
    require(node.minor.has_value() + !node.minors.empty() + !node.each.empty() == 1);
    require(node.each.empty() || stays_below(node.each, "proc/"));
    require(node.minor.has_value() != node.is_pattern());
    for (const MinorRange& range : node.minors) require(range.first <= range.last && range.last <= kMaxMinor);
    require(node.permissions.empty() || stays_below(node.permissions, "proc/"));
  }
  if (definition.root) require(stays_below(definition.root->path, "run/"));
  require(!definition.toolkit || definition.root);
  if (!definition.toolkit) return;
  const DefinedToolkit& toolkit = *definition.toolkit;
  require(toolkit.cdi_file.empty() || stays_below(toolkit.cdi_file, "run/"));
  require(toolkit.config_file.empty() || stays_below(toolkit.config_file, "etc/"));
  require(toolkit.runtime_path.empty() || stays_below(toolkit.runtime_path, "/"));
}

void run(std::string_view input) {
  static const Root root;
  static const Result<Dir> dir = Dir::open_root(root.path().string());
  std::ofstream(root.path() / kConfigFile, std::ios::binary | std::ios::trunc) << input;
  const auto config = read_config(*dir);
  if (config) require(!config->driver.empty() && config->driver.find('/') == std::string::npos);
  if (!config) require(!config.error().message().empty());
  const auto definition = read_definition(*dir, "cam");
  if (definition) require_usable(*definition);
}

std::vector<std::string> seeds() { return {}; }

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(toml, driverext::fuzz::run, driverext::fuzz::seeds)
