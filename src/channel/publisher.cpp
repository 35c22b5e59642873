#include "channel/publisher.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "channel/signed_index.hpp"
#include "crypto/digest.hpp"
#include "sys/undo.hpp"
#include "sysext/verified_image.hpp"

namespace driverext {
namespace {

constexpr size_t kChunk = size_t{1} << 20;
constexpr std::string_view kTemporary = ".new-";  // hidden: web servers do not list it

// One publisher at a time. Held until the descriptor is closed.
Result<UniqueFd> lock_channel(const Dir& folder) {
  TRY(UniqueFd fd, folder.open_file(".", O_RDONLY | O_DIRECTORY));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    return os_failure(errno, "another publisher is at work in " + folder.path_of("."));
  }
  return fd;
}

Result<ChannelIndex> read_own_index(const Dir& folder, const PublishTerms& terms) {
  TRY(const std::optional<std::string> cms, folder.read_if_there(kIndexFile, kMaxSignedIndex));
  if (!cms) {
    return make_error(Errc::not_found, folder.path_of(".") + " is no channel; make one with: driverext channel init");
  }
  TRY(SignedIndex content,
      read_signed_index(as_bytes(*cms), terms.anchors, terms.now).with_context(folder.path_of(kIndexFile)));
  return std::move(content.index);
}

// The next index: signed, read as a node will read it, then put in place.
Result<ChannelIndex> write_index(const Dir& folder, ChannelIndex index, const PublishTerms& terms) {
  ++index.serial;
  index.created = terms.now;  // serial numbers order indexes, times do not: a clock that was wrong once does no harm
  index.expires = index.created + terms.lifetime;
  TRY(const Bytes cms, terms.key.sign_attached(as_bytes(format_index(index))));
  TRY(const VerifiedIndex readable,
      VerifiedIndex::verify(cms, terms.anchors, terms.now).with_context("the index that would result"));
  TRY_VOID(folder.write_atomic(kIndexFile, as_text(cms), 0644));
  return readable.index();
}

// A copy of an image in the channel's directory, verified there: what was verified is what is served.
struct StagedImage {
  std::string temporary;  ///< relative to the channel
  std::string driver;
  std::string version;
  std::vector<ChannelImage> entries;  ///< a builder image has one for each of its kernels
};

class Publication {
 public:
  Publication(const Dir& folder, const PublishTerms& terms) : folder_(folder), terms_(terms) {}

  Result<Published> run(const PublishRequest& request) {
    TRY(const UniqueFd lock, lock_channel(folder_));
    TRY(ChannelIndex index, read_own_index(folder_, terms_));
    TRY_VOID(remove_temporaries());
    Undo take_back([this] { remove_what_was_made(); });
    for (const InputImage& input : request.images) {
      TRY(StagedImage image, stage(input).with_context(input.path));
      staged_.push_back(std::move(image));
    }
    TRY(const ReleaseNumber number, add_to_index(index, request));
    TRY_VOID(move_into_place());
    TRY(ChannelIndex written, write_index(folder_, std::move(index), terms_));
    take_back.commit();
    return Published{std::move(written), staged_.front().driver, number};
  }

 private:
  // Left by a publisher that was killed.
  Result<void> remove_temporaries() const {
    TRY_VOID(folder_.make_dirs(kImageFolder, 0755));
    TRY(const std::vector<std::string> names, folder_.list(kImageFolder));
    for (const std::string& name : names) {
      if (name.starts_with(kTemporary)) TRY_VOID(folder_.remove_file(in_images(name)));
    }
    return {};
  }

  static std::string in_images(std::string_view name) { return std::string(kImageFolder) + "/" + std::string(name); }

  Result<StagedImage> stage(const InputImage& input) {
    StagedImage staged;
    staged.temporary = in_images(std::string(kTemporary) + std::to_string(made_.size()));
    made_.push_back(staged.temporary);
    TRY_VOID(folder_.write_atomic(staged.temporary, "", 0644));
    TRY(const UniqueFd copy, folder_.open_no_follow(staged.temporary, O_WRONLY));
    ChannelImage entry;
    TRY(entry.sha256, copy_all(input, copy.get()));
    TRY(UniqueFd fd, folder_.open_no_follow(staged.temporary, O_RDONLY));
    TRY(ImageFile file, ImageFile::open(std::move(fd), input.path));
    TRY(const VerifiedImage image, VerifiedImage::verify(std::move(file), terms_.anchors, terms_.now));
    TRY_VOID(image.check_all_data());

    const Manifest& manifest = image.manifest();
    staged.driver = manifest.driver;
    staged.version = manifest.version;
    entry.kind = kind_name(manifest.kind);
    entry.kernel_release = manifest.kernel_release;
    entry.architecture = manifest.architecture;
    entry.os_id = manifest.os_id;
    entry.os_version_id = manifest.os_version_id;
    entry.root_hash = image.root_hash_hex();
    entry.size = image.file().size();
    if (manifest.kind != Kind::builder) staged.entries.push_back(entry);
    for (const std::string& kernel : manifest.kernels) {
      entry.kernel_release = kernel;
      staged.entries.push_back(entry);
    }
    return staged;
  }

  // On disk when it returns. The digest, hex.
  static Result<std::string> copy_all(const InputImage& input, int to) {
    Sha256 hash;
    Bytes chunk(kChunk);
    uint64_t done = 0;
    while (true) {
      const ssize_t n = ::pread(input.fd.get(), chunk.data(), chunk.size(), static_cast<off_t>(done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return os_failure(errno, "cannot read it");
      if (n == 0) break;
      const auto part = std::span(chunk).first(static_cast<size_t>(n));
      TRY_VOID(write_exactly(to, part, done, "its copy"));
      hash.update(part);
      done += part.size();
    }
    TRY_VOID(sync_file(to, "its copy"));
    return to_hex(hash.finish());
  }

  Result<ReleaseNumber> add_to_index(ChannelIndex& index, const PublishRequest& request) {
    if (staged_.empty()) return make_error(Errc::invalid_input, "there is no image to publish");
    const StagedImage& first = staged_.front();
    ReleaseNumber number{{1, 0, 0}};
    if (request.release) {
      number = *request.release;
    } else if (const ChannelRelease* newest = index.newest(first.driver); newest != nullptr) {
      TRY(number, newest->number.next());
    }
    TRY(ChannelRelease * release, find_or_add(index, number, request.percent));
    for (const StagedImage& image : staged_) {
      if (image.driver != release->driver || image.version != release->version) {
        return make_error(Errc::conflict, "release " + number.text() + " is " + release->driver + " " +
                                              release->version + "; an image is " + image.driver + " " + image.version);
      }
      for (const ChannelImage& entry : image.entries) TRY_VOID(add_image(index, *release, entry));
    }
    return number;
  }

  Result<ChannelRelease*> find_or_add(ChannelIndex& index, const ReleaseNumber& number,
                                      std::optional<unsigned> percent) const {
    const StagedImage& first = staged_.front();
    for (ChannelRelease& release : index.releases) {
      if (release.driver != first.driver || release.number != number) continue;
      if (!percent || *percent == release.percent) return &release;
      return make_error(Errc::conflict, "release " + number.text() + " of " + release.driver + " is rolled out to " +
                                            std::to_string(release.percent) +
                                            " %; change that with: driverext channel rollout");
    }
    index.releases.push_back({number, first.driver, first.version, percent.value_or(100), {}});
    return &index.releases.back();
  }

  static Result<void> add_image(const ChannelIndex& index, ChannelRelease& release, const ChannelImage& image) {
    for (const ChannelRelease& other : index.releases) {
      for (const ChannelImage& known : other.images) {
        if (known.root_hash == image.root_hash && known.sha256 != image.sha256) {
          return make_error(Errc::conflict, "release " + other.number.text() + " of " + other.driver +
                                                " has the same image with another signature (" + known.file() + ")");
        }
      }
    }
    const auto same = std::find_if(release.images.begin(), release.images.end(),
                                   [&](const ChannelImage& known) { return known.same_place(image); });
    if (same == release.images.end()) {
      release.images.push_back(image);
    } else if (*same != image) {
      return make_error(Errc::conflict, "release " + release.number.text() + " of " + release.driver +
                                            " has another image of kind " + image.kind + " for " +
                                            (image.kernel_release.empty() ? "every kernel" : image.kernel_release) +
                                            ": " + same->root_hash +
                                            "; what nodes may have taken is not replaced, make a new release");
    }
    return {};
  }

  Result<void> move_into_place() {
    for (const StagedImage& image : staged_) {
      const std::string name = image.entries.front().file();
      TRY(const std::optional<struct stat> before, folder_.status(name));
      TRY_VOID(folder_.replace(image.temporary, name));
      // One that was there is the same, or one that no index names: nobody misses the old bytes.
      if (!before) made_.push_back(name);
    }
    return {};
  }

  void remove_what_was_made() const {
    for (const std::string& name : made_) (void)folder_.remove_file(name);
  }

  const Dir& folder_;
  const PublishTerms& terms_;
  std::vector<StagedImage> staged_;
  std::vector<std::string> made_;  ///< files that a failure takes back
};

Result<std::string> only_driver(const ChannelIndex& index) {
  const std::vector<std::string> drivers = index.drivers();
  if (drivers.size() == 1) return drivers.front();
  if (drivers.empty()) return make_error(Errc::not_found, "channel " + index.channel + " has no release yet");
  std::string names;
  for (const std::string& name : drivers) names += (names.empty() ? "" : ", ") + name;
  return make_error(Errc::invalid_input,
                    "channel " + index.channel + " has several drivers (" + names + "); say which with --driver");
}

}  // namespace

Result<Published> init_channel(const Dir& folder, const std::string& name, const PublishTerms& terms) {
  TRY_VOID(check_name("channel", name));
  TRY(const UniqueFd lock, lock_channel(folder));
  TRY(const std::optional<struct stat> there, folder.status(kIndexFile));
  // A channel that starts over at serial number 1 is one that no node believes any more.
  if (there) return make_error(Errc::conflict, folder.path_of(kIndexFile) + " is there: this is a channel already");
  ChannelIndex index;
  index.channel = name;
  TRY_VOID(folder.make_dirs(kImageFolder, 0755));
  TRY(ChannelIndex written, write_index(folder, std::move(index), terms));
  return Published{std::move(written), "", {}};
}

Result<Published> publish_images(const Dir& folder, const PublishRequest& request, const PublishTerms& terms) {
  return Publication(folder, terms).run(request);
}

Result<Published> set_rollout(const Dir& folder, const RolloutRequest& request, const PublishTerms& terms) {
  TRY_VOID(check_percent(request.percent));
  TRY(const UniqueFd lock, lock_channel(folder));
  TRY(ChannelIndex index, read_own_index(folder, terms));
  std::string driver = request.driver;
  if (driver.empty()) {
    TRY(driver, only_driver(index));
  }
  const ChannelRelease* found = request.release ? index.find(driver, *request.release) : index.newest(driver);
  if (found == nullptr) {
    return make_error(Errc::not_found, "channel " + index.channel + " has no release " +
                                           (request.release ? request.release->text() + " " : std::string()) + "of " +
                                           driver);
  }
  const ReleaseNumber number = found->number;
  for (ChannelRelease& release : index.releases) {
    if (release.driver == driver && release.number == number) release.percent = request.percent;
  }
  TRY(ChannelIndex written, write_index(folder, std::move(index), terms));
  return Published{std::move(written), std::move(driver), number};
}

}  // namespace driverext
