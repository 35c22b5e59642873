#include "driver/device_nodes.hpp"

#include <algorithm>
#include <cerrno>
#include <map>

#include "base/text.hpp"
#include "driver/proc_files.hpp"

namespace driverext {
namespace {

constexpr unsigned kDefaultMode = 0666;
constexpr size_t kMaxNodes = 16384;

using Lines = std::map<std::string, std::string>;

// What a line cannot say keeps its default: such files also hold texts.
void read_permissions(const Lines& lines, ReportedNode& reported) {
  const auto value = [&](const char* key, unsigned otherwise) {
    const auto line = lines.find(key);
    return line == lines.end() ? otherwise : decimal_number(line->second).value_or(otherwise);
  };
  reported.node.mode = value("DeviceFileMode", kDefaultMode) & 0777U;
  reported.node.owner = value("DeviceFileUID", 0);
  reported.node.group = value("DeviceFileGID", 0);
  // The driver's own file calls it by one name, those of single capabilities by the other.
  reported.may_make = value("ModifyDeviceFiles", 1) != 0 && value("DeviceFileModify", 1) != 0;
}

class Reporter {
 public:
  explicit Reporter(const Dir& root) : root_(root) {}

  Result<void> add(const DefinedNode& defined) {
    TRY_VOID(read_numbers());
    const std::optional<unsigned> major = major_of(defined);
    claim_ = &claim_of(defined.node);
    if (!claim_->major) claim_->major = major;
    wanted_ = true;
    for (const DeviceCondition& condition : defined.conditions) {
      TRY(const bool met, is_met(condition));
      wanted_ = wanted_ && met;
    }
    ReportedNode like;
    like.node.major = major.value_or(0);
    like.node.mode = kDefaultMode;
    like.optional = defined.optional;
    like.in_containers = defined.in_containers;
    if (!defined.permissions.empty()) {
      TRY(const Lines* lines, lines_of(defined.permissions));
      read_permissions(*lines, like);
      claim_->may_remove = claim_->may_remove && like.may_make;
    }
    if (!major && (defined.optional || !wanted_)) return {};
    if (!major) {
      return make_error(Errc::not_found, Reason::device_missing,
                        "the driver did not register \"" + defined.registered_as.front() + "\" in /proc/devices");
    }
    if (!defined.each.empty()) return add_each(defined, like);
    claim_->is_complete = false;
    if (defined.minor) return add_node(defined, like, *defined.minor);
    return add_listed(defined, like);
  }

  DeviceReport finish() && { return {std::move(nodes_), std::move(claims_)}; }

 private:
  Result<void> read_numbers() {
    if (numbers_are_read_) return {};
    TRY(const auto text, root_.read_if_there("proc/devices", kMaxReport));
    registered_ = parse_proc_devices(text.value_or(""));
    numbers_are_read_ = true;
    return {};
  }

  [[nodiscard]] std::optional<unsigned> major_of(const DefinedNode& defined) const {
    for (const std::string& name : defined.registered_as) {
      if (const auto found = registered_.find(name); found != registered_.end()) return found->second;
    }
    return std::nullopt;
  }

  // Complete until a rule says that there can be more.
  NodeClaim& claim_of(const std::string& pattern) {
    for (NodeClaim& claim : claims_) {
      if (claim.pattern == pattern) return claim;
    }
    claims_.emplace_back();
    claims_.back().pattern = pattern;
    claims_.back().is_complete = true;
    return claims_.back();
  }

  // One file is asked by many rules. A file that is not there has no lines.
  Result<const Lines*> lines_of(const std::string& file) {
    const auto known = texts_.find(file);
    if (known != texts_.end()) return &known->second;
    TRY(const auto text, root_.read_if_there(file, kMaxReport));
    return &texts_.emplace(file, parse_key_values(text.value_or(""))).first->second;
  }

  Result<bool> is_met(const DeviceCondition& condition) {
    if (condition.kind == DeviceCondition::Kind::exists) {
      TRY(const std::vector<std::string> names, find_matching(root_, condition.file));
      for (const std::string& name : names) {
        TRY(const auto there, root_.status(name));
        if (there) return true;
      }
      return false;
    }
    TRY(const Lines* lines, lines_of(condition.file));
    const auto line = lines->find(condition.key);
    const bool is_so = line != lines->end() && line->second == condition.value;
    return is_so == (condition.kind == DeviceCondition::Kind::is);
  }

  Result<void> add_node(const DefinedNode& defined, const ReportedNode& like, unsigned minor) {
    claim_->minors.insert(minor);
    std::string path = node_name(defined.node, minor);
    if (!wanted_) return {};
    claim_->wanted.insert(minor);
    if (!paths_.insert(path).second) return {};
    if (nodes_.size() == kMaxNodes) return make_error(Errc::invalid_input, "the driver reports too many devices");
    nodes_.push_back(like);
    nodes_.back().path = std::move(path);
    nodes_.back().node.minor = minor;
    return {};
  }

  Result<void> add_listed(const DefinedNode& defined, const ReportedNode& like) {
    unsigned count = kMaxMinor + 1;
    if (!defined.count_key.empty()) {
      TRY(const Lines* lines, lines_of(defined.count_file));
      const auto line = lines->find(defined.count_key);
      count = line == lines->end() ? 0 : decimal_number(line->second).value_or(0);
    }
    for (const MinorRange& range : defined.minors) {
      for (unsigned minor = range.first; minor <= range.last && minor < count; ++minor) {
        TRY_VOID(add_node(defined, like, minor));
      }
    }
    return {};
  }

  Result<void> add_each(const DefinedNode& defined, const ReportedNode& like) {
    // Counted ones may have been others yesterday.
    if (defined.minor_key.empty()) claim_->is_complete = false;
    TRY(const std::vector<std::string> files, find_matching(root_, defined.each));
    unsigned index = 0;
    for (const std::string& file : files) {
      const Result<std::optional<std::string>> text = root_.read_if_there(file, kMaxReport);
      if (!text && text.error().os_error == EISDIR) continue;
      if (!text) return text.error();
      if (!*text) continue;  // gone again, or another thing than a device
      const Lines lines = parse_key_values(**text);
      ReportedNode reported = like;
      if (defined.permissions.empty()) read_permissions(lines, reported);
      claim_->may_remove = claim_->may_remove && reported.may_make;
      TRY(const auto minor, minor_of(defined, file, lines, index));
      if (!minor) continue;
      if (defined.in_containers) name_device(defined, lines, index, reported);
      ++index;
      TRY_VOID(add_node(defined, reported, *minor));
    }
    if (index != 0 || defined.optional || !wanted_) return {};
    const std::string folder = defined.each.substr(0, defined.each.find_first_of("*?["));
    return make_error(
        Errc::incompatible, Reason::device_missing,
        "the driver is loaded, but /" + folder.substr(0, folder.rfind('/')) + " shows no device that it could drive");
  }

  // Nothing: a file that does not report a device, and need not.
  static Result<std::optional<unsigned>> minor_of(const DefinedNode& defined, const std::string& file,
                                                  const Lines& lines, unsigned index) {
    if (defined.minor_key.empty()) return std::optional(index);
    const auto line = lines.find(defined.minor_key);
    const auto minor = line == lines.end() ? std::nullopt : decimal_number(line->second);
    if (minor && *minor <= kMaxMinor) return minor;
    if (defined.optional) return std::optional<unsigned>();
    return make_error(Errc::not_found, Reason::device_missing,
                      "/" + file + " does not tell \"" + defined.minor_key + "\"");
  }

  static void name_device(const DefinedNode& defined, const Lines& lines, unsigned index, ReportedNode& reported) {
    reported.names.push_back(std::to_string(index));
    for (const std::string& key : defined.name_keys) {
      const auto name = lines.find(key);
      // Question marks until somebody has opened the device: no name yet.
      if (name != lines.end() && check_name("device name", name->second)) reported.names.push_back(name->second);
    }
  }

  const Dir& root_;
  bool numbers_are_read_ = false;
  std::map<std::string, unsigned> registered_;
  std::map<std::string, Lines> texts_;
  std::vector<ReportedNode> nodes_;
  std::set<std::string> paths_;
  std::vector<NodeClaim> claims_;
  // Of the rule that is being read.
  NodeClaim* claim_ = nullptr;
  bool wanted_ = true;
};

}  // namespace

Result<DeviceReport> read_device_report(const Dir& root, const Definition& definition) {
  Reporter reporter(root);
  for (const DefinedNode& defined : definition.nodes) TRY_VOID(reporter.add(defined));
  return std::move(reporter).finish();
}

Result<std::vector<ReportedNode>> read_reported_nodes(const Dir& root, const Definition& definition) {
  TRY(DeviceReport report, read_device_report(root, definition));
  return std::move(report.nodes);
}

Result<std::vector<NodeClaim>> read_node_claims(const Dir& root, const Definition& definition) {
  Reporter reporter(root);
  for (const DefinedNode& defined : definition.nodes) {
    Result<void> added = reporter.add(defined);
    if (!added && added.error().reason != Reason::device_missing) return std::move(added).error();
  }
  return std::move(reporter).finish().claims;
}

Result<std::vector<StaleNode>> find_stale_nodes(const Dir& root, const std::vector<NodeClaim>& claims,
                                                const NodeFinder& find_node) {
  std::map<std::string, std::vector<std::string>> folders;
  std::vector<StaleNode> stale;
  for (const NodeClaim& claim : claims) {
    if (!claim.may_remove) continue;
    const std::string folder = claim.pattern.substr(0, claim.pattern.rfind('/'));
    const bool is_pattern = claim.pattern.find(kMinorPlace) != std::string::npos;
    // One fixed name needs no list.
    const std::vector<std::string> only = {claim.pattern.substr(folder.size() + 1)};
    if (is_pattern && !folders.contains(folder)) {
      TRY(folders[folder], root.list(folder));
    }
    for (const std::string& name : is_pattern ? folders[folder] : only) {
      const std::string path = folder + "/" + name;
      const auto minor = minor_in_name(claim.pattern, path);
      if (!minor) continue;
      // One that is wrong is put right.
      if (is_pattern ? claim.wanted.contains(*minor) : !claim.wanted.empty()) continue;
      TRY(const auto node, find_node(path));
      if (!node) continue;
      const bool may_be_right = claim.major && node->major == *claim.major;
      if (may_be_right && (!claim.is_complete || claim.minors.contains(*minor))) continue;
      stale.push_back({path, *node});
    }
  }
  return stale;
}

std::string char_link_name(const DeviceNode& node) {
  return "dev/char/" + std::to_string(node.major) + ":" + std::to_string(node.minor);
}

std::string char_link_target(const std::string& path) { return "../" + path.substr(std::string_view("dev/").size()); }

bool is_char_link_to(const std::string& link, const std::string& path) {
  return link == "/" + path || link == char_link_target(path);
}

}  // namespace driverext
