#include "driver/device_nodes.hpp"

#include <charconv>
#include <optional>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxReport = 65536;
constexpr unsigned kMaxMinor = (1U << 20) - 1;
constexpr unsigned kDefaultMode = 0666;

// Decimal only: a driver that prints 438 means 0666.
std::optional<unsigned> number_of(std::string_view text) {
  unsigned value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What a line cannot say keeps its default: such files also hold texts.
void read_permissions(const std::map<std::string, std::string>& lines, ReportedNode& reported) {
  const auto value = [&](const char* key, unsigned otherwise) {
    const auto line = lines.find(key);
    return line == lines.end() ? otherwise : number_of(line->second).value_or(otherwise);
  };
  reported.node.mode = value("DeviceFileMode", kDefaultMode) & 0777U;
  reported.node.owner = value("DeviceFileUID", 0);
  reported.node.group = value("DeviceFileGID", 0);
  reported.may_make = value("ModifyDeviceFiles", 1) != 0;
}

class Reporter {
 public:
  explicit Reporter(const Dir& root) : root_(root) {}

  Result<void> add(const DefinedNode& defined) {
    if (registered_.empty()) {
      TRY(const std::string text, root_.read_file("proc/devices", kMaxReport));
      registered_ = parse_proc_devices(text);
    }
    const std::optional<unsigned> major = major_of(defined);
    if (!major && defined.optional) return {};
    if (!major) {
      return make_error(Errc::not_found, Reason::device_missing,
                        "the driver did not register \"" + defined.registered_as.front() + "\" in /proc/devices");
    }
    ReportedNode reported;
    reported.path = defined.node;
    reported.node.major = *major;
    reported.node.minor = defined.minor.value_or(0);
    reported.node.mode = kDefaultMode;
    if (!defined.permissions.empty()) {
      TRY(const auto text, root_.read_if_there(defined.permissions, kMaxReport));
      if (text) read_permissions(parse_key_values(*text), reported);
    }
    if (!defined.each.empty()) return add_each(defined, reported);
    nodes_.push_back(std::move(reported));
    return {};
  }

  std::vector<ReportedNode> finish() && { return std::move(nodes_); }

 private:
  [[nodiscard]] std::optional<unsigned> major_of(const DefinedNode& defined) const {
    for (const std::string& name : defined.registered_as) {
      if (const auto found = registered_.find(name); found != registered_.end()) return found->second;
    }
    return std::nullopt;
  }

  Result<void> add_each(const DefinedNode& defined, const ReportedNode& like) {
    TRY(const std::vector<std::string> folders, root_.list(defined.each));
    unsigned index = 0;
    for (const std::string& folder : folders) {
      const std::string file = defined.each + "/" + folder + "/" + defined.file;
      TRY(const std::string text, root_.read_file(file, kMaxReport));
      const auto lines = parse_key_values(text);
      const auto line = lines.find(defined.minor_key);
      const auto minor = line == lines.end() ? std::nullopt : number_of(line->second);
      if (!minor || *minor > kMaxMinor) {
        return make_error(Errc::not_found, Reason::device_missing,
                          "/" + file + " does not tell \"" + defined.minor_key + "\"");
      }
      ReportedNode reported = like;
      reported.path.replace(reported.path.find("{minor}"), 7, std::to_string(*minor));
      reported.node.minor = *minor;
      reported.names.push_back(std::to_string(index++));
      for (const std::string& key : defined.name_keys) {
        const auto name = lines.find(key);
        // Question marks until somebody has opened the device: no name yet.
        if (name != lines.end() && check_name("device name", name->second)) reported.names.push_back(name->second);
      }
      nodes_.push_back(std::move(reported));
    }
    if (index != 0 || defined.optional) return {};
    return make_error(Errc::incompatible, Reason::device_missing,
                      "the driver is loaded, but /" + defined.each + " shows no device that it could drive");
  }

  const Dir& root_;
  std::map<std::string, unsigned> registered_;
  std::vector<ReportedNode> nodes_;
};

}  // namespace

std::map<std::string, unsigned> parse_proc_devices(std::string_view text) {
  std::map<std::string, unsigned> found;
  bool inside = false;
  for (const std::string& line : split(text, '\n')) {
    if (line.ends_with(':')) {
      inside = line == "Character devices:";
      continue;
    }
    const std::string_view entry = trim(line);
    const size_t blank = entry.find(' ');
    if (!inside || blank == std::string_view::npos) continue;
    const auto major = number_of(entry.substr(0, blank));
    if (major) found.emplace(std::string(entry.substr(blank + 1)), *major);
  }
  return found;
}

std::map<std::string, std::string> parse_key_values(std::string_view text) {
  std::map<std::string, std::string> found;
  for (const std::string& line : split(text, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    found.emplace(std::string(trim(std::string_view(line).substr(0, colon))),
                  std::string(trim(std::string_view(line).substr(colon + 1))));
  }
  return found;
}

Result<std::vector<ReportedNode>> read_reported_nodes(const Dir& root, const Definition& definition) {
  Reporter reporter(root);
  for (const DefinedNode& defined : definition.nodes) TRY_VOID(reporter.add(defined));
  return std::move(reporter).finish();
}

}  // namespace driverext
