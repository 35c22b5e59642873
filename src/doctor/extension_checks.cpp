// Image files where systemd-sysext looks for extensions, and by which policy it takes them.
//
// Only the first bytes are looked at, by our own parsers.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "doctor/checks.hpp"
#include "doctor/diagnosis.hpp"
#include "doctor/extension_folders.hpp"
#include "sysext/gpt.hpp"

namespace driverext::checks {
namespace {

// Superblock magics, as blkid(8) knows them: squashfs "hsqs" at 0, erofs at 1024, ext4 at 1080, btrfs at 65600.
struct Magic {
  uint64_t offset;
  std::string_view bytes;
};
constexpr Magic kMagics[] = {{512, "EFI PART"},  {0, "hsqs"},         {1024, std::string_view("\xe2\xe1\xf5\xe0", 4)},
                             {1080, "\x53\xef"}, {65600, "_BHRfS_M"}, {0, std::string_view("LUKS\xba\xbe", 6)}};

// Type "usr" of the architectures that extensions are made for: Discoverable Partitions Specification.
constexpr std::string_view kUsrTypes[] = {"8484680c-9521-48c6-9c11-b0720656f69e",   // x86-64
                                          "b0e01050-ee5f-4390-949a-9101b17104e9"};  // arm64

struct OpenImage {
  UniqueFd fd;
  uint64_t size = 0;
};

// A regular file at the end of links; nothing if it is none (a mask: a link to /dev/null) or not there.
Result<std::optional<OpenImage>> open_image(const Dir& root, const std::string& name) {
  Result<UniqueFd> fd = root.open_file(name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd) return std::move(fd).error();
  struct stat info {};
  if (::fstat(fd->get(), &info) != 0) return os_failure(errno, "cannot look at " + root.path_of(name));
  if (!S_ISREG(info.st_mode)) return std::optional<OpenImage>();
  return std::optional(OpenImage{*std::move(fd), static_cast<uint64_t>(info.st_size)});
}

Result<bool> has(const OpenImage& image, const Magic& magic) {
  if (image.size < magic.offset + magic.bytes.size()) return false;
  std::string found(magic.bytes.size(), '\0');
  TRY_VOID(read_exactly(image.fd.get(), std::as_writable_bytes(std::span(found)), magic.offset, "image"));
  return found == magic.bytes;
}

// What is wrong with it; nothing if it could be an image.
Result<std::optional<std::string>> fault_of(const Dir& root, const ExtensionFile& file) {
  Result<std::optional<OpenImage>> image = open_image(root, file.path());
  if (!image && image.error().os_error == ENOENT) {
    return std::optional<std::string>("/" + file.path() + " is a link that leads nowhere");
  }
  if (!image) return std::move(image).error();
  if (!*image) return std::optional<std::string>();
  if ((*image)->size == 0) return std::optional<std::string>("/" + file.path() + " is empty");
  for (const Magic& magic : kMagics) {
    TRY(const bool there, has(**image, magic));
    if (there) return std::optional<std::string>();
  }
  return std::optional<std::string>("/" + file.path() + " is no image of any kind that systemd knows");
}

// Partition tables that only somebody else's parser takes are not ours to judge.
Result<bool> has_usr_partition(const OpenImage& image) {
  Bytes head(std::min<uint64_t>(image.size, kGptHeadSize));
  Bytes tail(std::min<uint64_t>(image.size, kGptBackupSize));
  TRY_VOID(read_exactly(image.fd.get(), head, 0, "image"));
  TRY_VOID(read_exactly(image.fd.get(), tail, image.size - tail.size(), "image"));
  const Result<std::vector<Partition>> partitions = parse_gpt(head, tail, image.size);
  if (!partitions) return false;
  return std::any_of(partitions->begin(), partitions->end(), [](const Partition& partition) {
    const std::string type = guid_to_text(partition.type);
    return std::find(std::begin(kUsrTypes), std::end(kUsrTypes), type) != std::end(kUsrTypes);
  });
}

struct Policy {
  std::string file;
  std::string text;  ///< "root=signed+absent:usr=absent"
};

// --image-policy= on systemd-sysext's command line, ImagePolicy= in sysext.conf (v259).
Result<std::vector<Policy>> policies(const Dir& root) {
  std::vector<std::string> files = {"etc/systemd/sysext.conf"};
  for (const std::string top : {"etc", "run", "usr/lib"}) {
    files.push_back(top + "/systemd/system/systemd-sysext.service");
    for (const std::string& folder :
         {top + "/systemd/system/systemd-sysext.service.d", top + "/systemd/sysext.conf.d"}) {
      TRY(const std::vector<std::string> names, root.list(folder));
      for (const std::string& name : names) {
        if (name.ends_with(".conf")) files.push_back(folder + "/" + name);
      }
    }
  }
  std::vector<Policy> found;
  for (const std::string& file : files) {
    TRY(const auto text, root.read_if_there(file, kMaxLook));
    for (const std::string& line : split(text.value_or(""), '\n')) {
      const std::string_view words = trim(line);
      if (words.starts_with('#') || words.starts_with(';')) continue;
      for (const std::string_view key : {"--image-policy=", "ImagePolicy="}) {
        const size_t at = words.find(key);
        if (at == std::string_view::npos) continue;
        std::string_view value = words.substr(at + key.size());
        value = value.substr(0, value.find_first_of(" \t"));
        while (!value.empty() && (value.front() == '"' || value.front() == '\'')) value.remove_prefix(1);
        while (!value.empty() && (value.back() == '"' || value.back() == '\'')) value.remove_suffix(1);
        found.push_back({file, std::string(value)});
      }
    }
  }
  return found;
}

}  // namespace

Result<Diagnosis> extension_files(const DoctorInput& input) {
  TRY(const std::vector<ExtensionFile> files, driverext::extension_files(input.root));
  std::vector<std::string> wrong;
  size_t images = 0;
  for (const ExtensionFile& file : files) {
    if (!file.name.ends_with(".raw")) continue;
    ++images;
    TRY(const auto fault, fault_of(input.root, file));
    if (fault) wrong.push_back(*fault);
  }
  return problem_if_any(wrong, std::to_string(images) + " extension images, each of a kind that systemd knows");
}

Result<Diagnosis> usr_type_extensions(const DoctorInput& input) {
  TRY(const std::vector<ExtensionFile> files, driverext::extension_files(input.root));
  std::vector<std::string> found;
  for (const ExtensionFile& file : files) {
    if (!file.name.ends_with(".raw")) continue;
    const Result<std::optional<OpenImage>> image = open_image(input.root, file.path());
    if (!image || !*image) continue;
    TRY(const bool is_usr, has_usr_partition(**image));
    if (is_usr) found.push_back("/" + file.path() + " has a partition of type usr");
  }
  if (found.empty()) return fine("no extension image has a partition of type usr");
  TRY(const std::vector<Policy> set, policies(input.root));
  // Where nobody asked for signatures nothing is lost.
  if (set.empty()) return fine(listed(found) + "; no image policy is set that it could get around");
  return problem(listed(found));
}

// "+" joins alternatives: with signed+verity, verity alone will do.
Result<Diagnosis> image_policy(const DoctorInput& input) {
  TRY(const std::vector<Policy> set, policies(input.root));
  if (set.empty()) return not_applicable("systemd-sysext has no image policy of its own");
  std::vector<std::string> loose;
  for (const Policy& policy : set) {
    for (const std::string& part : split(policy.text, ':')) {
      const std::vector<std::string> uses = split(part.substr(part.find('=') + 1), '+');
      const auto allows = [&](std::string_view use) { return std::find(uses.begin(), uses.end(), use) != uses.end(); };
      if (!allows("signed")) continue;
      for (const std::string_view weaker : {"verity", "unprotected", "encrypted"}) {
        if (!allows(weaker)) continue;
        loose.push_back("/" + policy.file + ": " + part + " also takes what is only " + std::string(weaker));
      }
    }
  }
  return problem_if_any(loose, "the image policy takes no weaker kind beside signed");
}

}  // namespace driverext::checks
