#include "provisioner/verified_cache.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "base/text.hpp"
#include "crypto/trust_store.hpp"
#include "provisioner/inventory.hpp"

namespace driverext {
namespace {

constexpr std::string_view kFormat = "driverext-verified 1";
constexpr int64_t kLifetimeSec = 24 * 3600;
constexpr char kField = '\t';
constexpr char kItem = '\x1f';

Error damaged() { return make_error(Errc::invalid_input, "the list of verified images is damaged"); }

std::string stamp_text(const FileStamp& stamp) {
  std::string text;
  for (const int64_t number : {static_cast<int64_t>(stamp.device), static_cast<int64_t>(stamp.inode), stamp.size,
                               stamp.mtime_nsec, stamp.ctime_nsec}) {
    text += (text.empty() ? "" : " ") + std::to_string(number);
  }
  return text;
}

// The files that decide who is trusted, as they are now: any other is another verdict.
std::string trust_stamp(const Dir& root) {
  std::string text;
  std::vector<std::string> folders = kTrustFolders;
  folders.emplace_back(kNodeKeys);
  for (const std::string& folder : folders) {
    const auto names = root.list(folder);
    if (!names) return {};
    for (const std::string& name : *names) {
      const auto status = root.status(folder + "/" + name);
      if (!status || !*status) return {};
      // A link's target can change while the link does not.
      if (!S_ISREG((*status)->st_mode)) return {};
      text += folder + "/" + name + " " + stamp_text(stamp_of(**status)) + kItem;
    }
  }
  return text.find('\n') == std::string::npos ? text : std::string();
}

class Fields {
 public:
  explicit Fields(std::string_view line) : rest_(line) {}

  bool text(std::string& into) {
    const std::optional<std::string_view> field = next(kField);
    if (field) into = *field;
    return field.has_value();
  }
  template <class Number>
  bool number(Number& into) {
    const std::optional<std::string_view> field = next(kField);
    return field && parse(*field, into);
  }
  bool stamp(FileStamp& into) {
    const std::optional<std::string_view> field = next(kField);
    if (!field) return false;
    const char* at = field->data();
    const char* const end = at + field->size();
    const auto part = [&](auto& number, bool is_last) {
      const auto [behind, code] = std::from_chars(at, end, number);
      if (code != std::errc() || (is_last ? behind != end : behind == end || *behind != ' ')) return false;
      at = behind + 1;
      return true;
    };
    return part(into.device, false) && part(into.inode, false) && part(into.size, false) &&
           part(into.mtime_nsec, false) && part(into.ctime_nsec, true);
  }
  /// Items, each behind a separator of its own.
  bool list(std::vector<std::string_view>& into) {
    const std::optional<std::string_view> field = next(kField);
    if (!field) return false;
    if (field->empty()) return true;
    Fields items(*field);
    while (const auto item = items.next(kItem)) into.push_back(*item);
    return true;
  }
  [[nodiscard]] bool at_end() const { return !rest_; }

 private:
  std::optional<std::string_view> next(char separator) {
    if (!rest_) return std::nullopt;
    const size_t end = rest_->find(separator);
    const std::string_view field = rest_->substr(0, end);
    rest_ = end == std::string_view::npos ? std::nullopt : std::optional(rest_->substr(end + 1));
    return field;
  }
  template <class Number>
  static bool parse(std::string_view text, Number& into) {
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), into);
    return code == std::errc() && end == text.data() + text.size();
  }

  std::optional<std::string_view> rest_;
};

std::string entry_text(const VerifiedEntry& entry) {
  const ImageIdentity& id = *entry.identity;
  std::string kernels;
  for (const std::string& kernel : id.kernels) kernels += (kernels.empty() ? "" : std::string(1, kItem)) + kernel;
  std::string modules;
  for (const ModuleIdentity& module : id.modules) {
    modules +=
        (modules.empty() ? "" : std::string(1, kItem)) + module.name + kItem + module.build_id + kItem + module.version;
  }
  std::string line;
  const auto add = [&](const std::string& field) { line += (line.empty() ? "" : std::string(1, kField)) + field; };
  add(entry.folder);
  add(stamp_text(entry.folder_stamp));
  add(entry.file);
  add(stamp_text(entry.file_stamp));
  add(entry.origin);
  add(std::to_string(entry.verified_at));
  add(id.root_hash);
  add(id.salt);
  add(std::to_string(id.data_blocks));
  add(id.driver);
  add(id.version);
  add(id.flavor);
  add(std::string(kind_name(id.kind)));
  add(id.userland);
  add(id.kernel_release);
  add(id.vermagic);
  add(kernels);
  add(id.architecture);
  add(id.os_id);
  add(id.os_version_id);
  add(std::to_string(id.created));
  add(modules);
  add(id.signer);
  add(id.signer_fingerprint);
  add(std::to_string(id.signer_valid_from));
  add(std::to_string(id.signer_valid_until));
  return line;
}

// Into its place: a thousand of them are read, and moving one about costs as much as reading it.
Result<void> parse_entry(std::string_view line, VerifiedEntry& entry) {
  const auto identity = std::make_shared<ImageIdentity>();
  entry.identity = identity;
  ImageIdentity& id = *identity;
  std::string kind;
  std::vector<std::string_view> kernels;
  std::vector<std::string_view> modules;
  Fields fields(line);
  const bool whole = fields.text(entry.folder) && fields.stamp(entry.folder_stamp) && fields.text(entry.file) &&
                     fields.stamp(entry.file_stamp) && fields.text(entry.origin) && fields.number(entry.verified_at) &&
                     fields.text(id.root_hash) && fields.text(id.salt) && fields.number(id.data_blocks) &&
                     fields.text(id.driver) && fields.text(id.version) && fields.text(id.flavor) && fields.text(kind) &&
                     fields.text(id.userland) && fields.text(id.kernel_release) && fields.text(id.vermagic) &&
                     fields.list(kernels) && fields.text(id.architecture) && fields.text(id.os_id) &&
                     fields.text(id.os_version_id) && fields.number(id.created) && fields.list(modules) &&
                     fields.text(id.signer) && fields.text(id.signer_fingerprint) &&
                     fields.number(id.signer_valid_from) && fields.number(id.signer_valid_until) && fields.at_end() &&
                     modules.size() % 3 == 0;
  if (!whole) return damaged();
  TRY(id.kind, kind_of_name(kind));
  id.kernels.assign(kernels.begin(), kernels.end());
  for (size_t i = 0; i < modules.size(); i += 3) {
    id.modules.push_back({std::string(modules[i]), std::string(modules[i + 1]), std::string(modules[i + 2])});
  }
  return {};
}

}  // namespace

FileStamp stamp_of(const struct stat& status) {
  constexpr int64_t kNsec = 1'000'000'000;
  return {status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec * kNsec + status.st_mtim.tv_nsec,
          status.st_ctim.tv_sec * kNsec + status.st_ctim.tv_nsec};
}

bool VerifiedEntry::holds_at(int64_t now) const {
  return now >= verified_at && now - verified_at < kLifetimeSec && now < identity->signer_valid_until;
}

VerifiedCache VerifiedCache::read(const Dir& root, const std::string& boot_id) {
  VerifiedCache cache;
  const std::string trust = trust_stamp(root);
  // Without either, nothing that is written now could be known for what it is later.
  if (boot_id.empty() || trust.empty()) return cache;
  cache.head_ = std::string(kFormat) + kField + boot_id + kField + trust;
  const auto status = root.status(kVerifiedFile);
  if (!status || !*status || !S_ISREG((*status)->st_mode) || ((*status)->st_mode & 077U) != 0) return cache;
  const auto text = root.read_if_there(kVerifiedFile, kMaxVerifiedFile);
  if (!text || !*text) return cache;
  Result<std::vector<VerifiedEntry>> entries = parse(**text, cache.head_);
  if (!entries) return cache;
  // As format() has sorted them; what is not would only not be found.
  cache.entries_ = *std::move(entries);
  return cache;
}

std::span<const VerifiedEntry> VerifiedCache::in_folder(const std::string& folder) const {
  const auto first =
      std::lower_bound(entries_.begin(), entries_.end(), folder,
                       [](const VerifiedEntry& entry, const std::string& name) { return entry.folder < name; });
  const auto last =
      std::find_if(first, entries_.end(), [&](const VerifiedEntry& entry) { return entry.folder != folder; });
  return {first, last};
}

void VerifiedCache::put(const std::string& folder, std::vector<VerifiedEntry> entries) {
  changed_ = true;
  const auto first = std::find_if(entries_.rbegin(), entries_.rend(), [&](const VerifiedEntry& entry) {
                       return entry.folder < folder;
                     }).base();  // mostly at the end: a store is read in order
  const auto last =
      std::find_if(first, entries_.end(), [&](const VerifiedEntry& entry) { return entry.folder != folder; });
  const auto place = entries_.erase(first, last);
  std::sort(entries.begin(), entries.end(),
            [](const VerifiedEntry& a, const VerifiedEntry& b) { return a.file < b.file; });
  entries_.insert(place, std::make_move_iterator(entries.begin()), std::make_move_iterator(entries.end()));
}

void VerifiedCache::keep_only(const std::vector<std::string>& folders) {
  changed_ |= std::erase_if(entries_, [&](const VerifiedEntry& entry) {
                return !std::binary_search(folders.begin(), folders.end(), entry.folder);
              }) != 0;
}

void VerifiedCache::write(const Dir& root) const {
  if (!changed_ || head_.empty()) return;
  (void)root.write_if_changed(kVerifiedFile, format(head_, entries_), 0600);
}

std::string VerifiedCache::format(const std::string& head, const std::vector<VerifiedEntry>& entries) {
  std::string text = head + "\n";
  for (const VerifiedEntry& entry : entries) {
    const std::string line = entry_text(entry);
    // A name with a line break in it is no image's; it is only not remembered.
    if (std::count(line.begin(), line.end(), '\n') == 0) text += line + "\n";
  }
  return text + "end\n";
}

Result<std::vector<VerifiedEntry>> VerifiedCache::parse(std::string_view text, std::string_view head) {
  if (!text.starts_with(head) || !text.substr(head.size()).starts_with('\n') || !text.ends_with("\nend\n")) {
    return damaged();
  }
  text.remove_prefix(head.size() + 1);
  std::vector<VerifiedEntry> entries;
  entries.reserve(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')));
  while (text != "end\n") {
    const size_t end = text.find('\n');
    TRY_VOID(parse_entry(text.substr(0, end), entries.emplace_back()));
    text.remove_prefix(end + 1);
  }
  return entries;
}

}  // namespace driverext
