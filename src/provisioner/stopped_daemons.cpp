#include "provisioner/stopped_daemons.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxFile = size_t{64} << 10;
constexpr unsigned kAskSec = 10;

Result<std::vector<std::string>> stopped_daemons(const Dir& root) {
  TRY(const auto text, root.read_if_there(kStoppedDaemons, kMaxFile));
  std::vector<std::string> units;
  for (const std::string& unit : split(text.value_or(""), '\n')) {
    if (!unit.empty()) units.push_back(unit);
  }
  return units;
}

}  // namespace

Result<void> remember_stopped_daemons(const Dir& root, const std::vector<std::string>& units) {
  if (units.empty()) return {};
  TRY(std::vector<std::string> known, stopped_daemons(root));
  for (const std::string& unit : units) {
    if (std::find(known.begin(), known.end(), unit) == known.end()) known.push_back(unit);
  }
  std::string text;
  for (const std::string& unit : known) text += unit + "\n";
  return root.write_atomic(kStoppedDaemons, text, 0644);
}

Result<void> start_stopped_daemons(const Dir& root, Programs& programs) {
  TRY(const std::vector<std::string> units, stopped_daemons(root));
  if (units.empty()) return {};
  // Not waited for: this provision may be what they wait for.
  std::vector<std::string> argv = {"systemctl", "start", "--no-block", "--"};
  argv.insert(argv.end(), units.begin(), units.end());
  TRY(const std::string words, programs.run({.argv = argv, .timeout_sec = kAskSec}));
  (void)words;
  return root.remove_file(kStoppedDaemons);
}

}  // namespace driverext
