#include "provisioner/device_watch.hpp"

#include <algorithm>

namespace driverext {
namespace {

constexpr const char* kRules = "usr/lib/udev/rules.d/60-driverext.rules";
constexpr const char* kRulesOfThisBoot = "run/udev/rules.d/60-driverext.rules";
constexpr size_t kMaxRules = 65536;

}  // namespace

Result<bool> DeviceWatch::is_set(const std::vector<std::string>& names) const {
  TRY(const std::vector<std::string> there, root_.list(kWatchedModules));
  if (there != names) return false;
  TRY(const auto rules, root_.read_if_there(kRules, kMaxRules));
  TRY(const auto shown, root_.read_if_there(kRulesOfThisBoot, kMaxRules));
  return !rules || there.empty() || rules == shown;
}

// udev reads its rules again when a folder of them is newer than before. One that came by a system extension, after
// udev was started and with the time of no clock, is not.
Result<void> DeviceWatch::show_rules() {
  TRY(const auto rules, root_.read_if_there(kRules, kMaxRules));
  TRY(const auto before, root_.read_if_there(kRulesOfThisBoot, kMaxRules));
  if (!rules || rules == before) return {};
  TRY_VOID(root_.write_atomic(kRulesOfThisBoot, *rules, 0644));
  undo_.emplace_back([this, before] {
    return before ? root_.write_atomic(kRulesOfThisBoot, *before, 0644) : root_.remove_file(kRulesOfThisBoot);
  });
  return {};
}

Result<void> DeviceWatch::hide_rules() {
  TRY(const auto before, root_.read_if_there(kRulesOfThisBoot, kMaxRules));
  if (!before) return {};
  TRY_VOID(root_.remove_file(kRulesOfThisBoot));
  undo_.emplace_back([this, before] { return root_.write_atomic(kRulesOfThisBoot, *before, 0644); });
  return {};
}

// The folder goes with its last name: the service is not even started then.
Result<void> DeviceWatch::set(const std::vector<std::string>& names) {
  const std::string folder(kWatchedModules);
  TRY(const std::vector<std::string> there, root_.list(folder));
  TRY_VOID(names.empty() ? hide_rules() : show_rules());
  if (there == names) return {};
  if (there.empty()) {
    TRY_VOID(root_.make_dirs(folder, 0755));
    undo_.emplace_back([this, folder] { return root_.remove_dir(folder); });
  }
  for (const std::string& name : names) {
    if (std::find(there.begin(), there.end(), name) != there.end()) continue;
    const std::string file = folder + "/" + name;
    TRY_VOID(root_.write_atomic(file, "", 0644));
    undo_.emplace_back([this, file] { return root_.remove_file(file); });
  }
  for (const std::string& name : there) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::string file = folder + "/" + name;
    TRY_VOID(root_.remove_file(file));
    undo_.emplace_back([this, file] { return root_.write_atomic(file, "", 0644); });
  }
  return names.empty() ? root_.remove_dir(folder) : Result<void>();
}

Result<void> DeviceWatch::undo() {
  Result<void> result;
  for (; !undo_.empty(); undo_.pop_back()) {
    Result<void> undone = undo_.back()();
    if (!undone && result) result = std::move(undone);
  }
  return result;
}

}  // namespace driverext
