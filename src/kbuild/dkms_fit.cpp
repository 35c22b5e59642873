#include "kbuild/dkms_fit.hpp"

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "kbuild/pattern.hpp"

namespace driverext {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "6.1.0-9" → "006.001.000-009": then bytes compare as numbers do. (dkms pads to three digits.)
std::string padded(const std::string& release) {
  std::string out;
  for (size_t i = 0; i < release.size();) {
    if (!is_digit(release[i])) {
      out += release[i++];
      continue;
    }
    size_t end = i;
    while (end < release.size() && is_digit(release[end])) ++end;
    if (end - i < 3) out.append(3 - (end - i), '0');
    out.append(release, i, end - i);
    i = end;
  }
  return out;
}

Error excluded(const std::string& why) {
  return make_error(Errc::incompatible, "the driver is not meant for this kernel: " + why);
}

std::map<std::string, std::string, std::less<>> config_values(std::string_view config) {
  std::map<std::string, std::string, std::less<>> values;
  for (const std::string& line : split(config, '\n')) {
    const size_t equals = line.find('=');
    if (line.starts_with("CONFIG_") && equals != std::string::npos)
      values[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return values;
}

}  // namespace

int compare_releases(const std::string& a, const std::string& b) {
  const int order = padded(a).compare(padded(b));
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

Result<void> check_exclusive(const DkmsExclusive& exclusive, const std::string& kernel_release, const std::string& arch,
                             std::string_view config) {
  if (!exclusive.kernel.empty()) {
    TRY(const bool fits, matches_pattern(exclusive.kernel, kernel_release).with_context("BUILD_EXCLUSIVE_KERNEL"));
    if (!fits) return excluded(kernel_release + " does not match BUILD_EXCLUSIVE_KERNEL \"" + exclusive.kernel + "\"");
  }
  if (!exclusive.kernel_min.empty() && compare_releases(kernel_release, exclusive.kernel_min) < 0) {
    return excluded(kernel_release + " is older than " + exclusive.kernel_min + " (BUILD_EXCLUSIVE_KERNEL_MIN)");
  }
  if (!exclusive.kernel_max.empty() && compare_releases(kernel_release, exclusive.kernel_max) > 0) {
    return excluded(kernel_release + " is newer than " + exclusive.kernel_max + " (BUILD_EXCLUSIVE_KERNEL_MAX)");
  }
  if (!exclusive.arch.empty()) {
    TRY(const bool fits, matches_pattern(exclusive.arch, arch).with_context("BUILD_EXCLUSIVE_ARCH"));
    if (!fits)
      return excluded("its architecture " + arch + " does not match \"" + exclusive.arch + "\" (BUILD_EXCLUSIVE_ARCH)");
  }
  if (exclusive.config.empty()) return {};
  const auto values = config_values(config);
  for (const std::string& wish : exclusive.config) {
    const bool must_be_off = wish.starts_with('!');
    const auto found = values.find(std::string_view(wish).substr(must_be_off ? 1 : 0));
    const bool is_on = found != values.end() && (found->second == "y" || found->second == "m");
    if (is_on == must_be_off) return excluded("its configuration does not have " + wish + " (BUILD_EXCLUSIVE_CONFIG)");
  }
  return {};
}

Result<std::string> make_line_for(const DkmsConf& conf, const std::string& kernel_release) {
  std::string line;
  if (!conf.make.empty() && conf.make.front().match.empty()) line = conf.make.front().value;
  for (const DkmsMatched& make : conf.make) {
    if (make.match.empty()) continue;
    TRY(const bool fits, matches_pattern(make.match, kernel_release).with_context("MAKE_MATCH"));
    if (fits) line = make.value;
  }
  return line;
}

Result<std::vector<std::string>> patches_for(const DkmsConf& conf, const std::string& kernel_release) {
  std::vector<std::string> names;
  for (const DkmsMatched& patch : conf.patches) {
    TRY(const bool fits, matches_pattern(patch.match, kernel_release).with_context("PATCH_MATCH"));
    if (fits) names.push_back(patch.value);  // an empty pattern matches everything
  }
  return names;
}

}  // namespace driverext
