#include "host/firmware.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxPath = 4096;
constexpr std::array<const char*, 3> kEndings = {"", ".xz", ".zst"};

bool exists(const Dir& root, const std::string& name) {
  const auto status = root.status(name);
  return status && *status;
}

bool matches_in(const Dir& root, const std::string& folder, const std::string& pattern) {
  const auto names = root.list(folder);
  return names && std::any_of(names->begin(), names->end(), [&](const std::string& name) {
           return std::any_of(kEndings.begin(), kEndings.end(), [&](const char* ending) {
             return ::fnmatch((pattern + ending).c_str(), name.c_str(), 0) == 0;
           });
         });
}

}  // namespace

bool host_has_firmware(const Dir& root, const std::string& kernel_release, const std::string& name) {
  // Names come from images: none leads out of the folders.
  if (name.empty() || name.front() == '/' || ("/" + name + "/").find("/../") != std::string::npos) return false;
  const bool is_pattern = name.find_first_of("*?[") != std::string::npos;
  const size_t slash = name.rfind('/');
  std::vector<std::string> tops = {"usr/lib/firmware", "lib/firmware"};
  // Where somebody told the kernel to look first.
  const auto told = root.read_if_there("sys/module/firmware_class/parameters/path", kMaxPath);
  if (told && *told && trim(**told).starts_with('/')) tops.insert(tops.begin(), std::string(trim(**told)).substr(1));
  for (const std::string& top : tops) {
    for (const std::string& folder :
         {top + "/updates/" + kernel_release, top + "/updates", top + "/" + kernel_release, top}) {
      if (is_pattern) {
        const std::string inside = slash == std::string::npos ? folder : folder + "/" + name.substr(0, slash);
        if (matches_in(root, inside, slash == std::string::npos ? name : name.substr(slash + 1))) return true;
        continue;
      }
      const bool there = std::any_of(kEndings.begin(), kEndings.end(),
                                     [&](const char* ending) { return exists(root, folder + "/" + name + ending); });
      if (there) return true;
    }
  }
  return false;
}

}  // namespace driverext
