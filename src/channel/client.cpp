#include "channel/client.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr std::string_view kPartSuffix = ".part";

Error mismatch(const std::string& what) { return make_error(Errc::untrusted, Reason::manifest_mismatch, what); }

// One process at a time remembers and fetches.
Result<UniqueFd> lock_fetching(const Dir& root) {
  return root.lock_folder(kFetchFolder, "another process reads the channel");
}

// The image is what the index promised.
Result<void> check_promise(const VerifiedImage& image, const Offer& offer) {
  const Manifest& manifest = image.manifest();
  const ChannelImage& promised = offer.image;
  if (image.root_hash_hex() != promised.root_hash)
    return mismatch("the image has another root hash than the index says");
  const auto compare = [](const char* what, std::string_view is, std::string_view should) -> Result<void> {
    if (is == should) return {};
    return mismatch("the image's " + std::string(what) + " is \"" + std::string(is) + "\", the index says \"" +
                    std::string(should) + "\"");
  };
  TRY_VOID(compare("driver", manifest.driver, offer.driver));
  TRY_VOID(compare("version", manifest.version, offer.version));
  TRY_VOID(compare("kind", kind_name(manifest.kind), promised.kind));
  TRY_VOID(compare("architecture", manifest.architecture, promised.architecture));
  if (manifest.kind != Kind::builder) {
    return compare("kernel release", manifest.kernel_release, promised.kernel_release);
  }
  const auto& kernels = manifest.kernels;
  if (std::find(kernels.begin(), kernels.end(), promised.kernel_release) != kernels.end()) return {};
  return mismatch("the builder image is not for kernel " + promised.kernel_release + ", as the index says");
}

// One image on its way to this node.
class ImageFetch {
 public:
  ImageFetch(const Dir& root, const ChannelAccess& access, const Offer& offer, const DownloadProgress& progress)
      : root_(root),
        access_(access),
        offer_(offer),
        progress_(progress),
        name_(std::string(kFetchFolder) + "/" + offer.image.root_hash + ".raw"),
        part_(name_ + std::string(kPartSuffix)) {}

  Result<FetchedImage> run() {
    TRY_VOID(remove_others());
    TRY(const std::optional<struct stat> finished, root_.status(name_));
    // Fetched before, but never moved to the store. It is read again, like any file that was out of sight.
    if (finished) TRY_VOID(root_.replace(name_, part_));
    Result<VerifiedImage> image = download_and_verify();
    if (!image) {
      // No room: what came so far should not keep the disk full. Not trusted: nobody should find it.
      const Error& error = image.error();
      if (error.code == Errc::untrusted || error.os_error == ENOSPC) TRY_VOID(root_.remove_file(part_));
      return std::move(image).error();
    }
    TRY_VOID(root_.replace(part_, name_));
    return FetchedImage{name_, *std::move(image)};
  }

 private:
  Result<void> remove_others() const {
    TRY(const std::vector<std::string> names, root_.list(kFetchFolder));
    for (const std::string& leaf : names) {
      const std::string name = std::string(kFetchFolder) + "/" + leaf;
      if (name != part_ && name != name_) TRY_VOID(root_.remove_file(name));
    }
    return {};
  }

  Result<VerifiedImage> download_and_verify() const {
    TRY(Downloaded got, download());
    const bool right = to_hex(got.sha256) == offer_.image.sha256;
    if (!right && got.resumed_from != 0) {
      // After a power cut the end of a file may be zeros. Only a file that was fetched as a whole speaks for the
      // server.
      TRY_VOID(root_.remove_file(part_));
      TRY(got, download());
    }
    if (to_hex(got.sha256) != offer_.image.sha256) {
      return make_error(
          Errc::untrusted, Reason::data_corrupt,
          url() + ": its SHA-256 is " + to_hex(got.sha256) + ", the signed index says " + offer_.image.sha256);
    }
    // Opened anew, for reading only: this descriptor is the one that whoever gets the image uses.
    TRY(UniqueFd fd, root_.open_no_follow(part_, O_RDONLY));
    TRY(ImageFile file, ImageFile::open(std::move(fd), root_.path_of(name_)).with_context(url()));
    TRY(VerifiedImage image, VerifiedImage::verify(std::move(file), access_.anchors, access_.now).with_context(url()));
    TRY_VOID(check_promise(image, offer_).with_context(url()));
    return image;
  }

  Result<Downloaded> download() const {
    TRY(const UniqueFd fd, open_part());
    // Room for all of it now, rather than a full disk at the end. Where a file system cannot do it, the end will tell.
    const auto size = static_cast<off_t>(offer_.image.size);
    if (::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 0, size) != 0 && (errno == ENOSPC || errno == EFBIG)) {
      const int error = errno;
      return os_failure(error, "no room for the " + human_size(offer_.image.size) + " of " + root_.path_of(name_));
    }
    return download_to_file(access_.fetcher, {url(), fd.get(), root_.path_of(part_), offer_.image.size, progress_});
  }

  Result<UniqueFd> open_part() const {
    TRY(const std::optional<struct stat> there, root_.status(part_));
    if (!there) TRY_VOID(root_.write_atomic(part_, "", 0644));
    TRY(UniqueFd fd, root_.open_no_follow(part_, O_RDWR | O_NONBLOCK | O_NOCTTY));
    TRY_VOID(check_file_is_ours(fd.get(), root_.path_of(part_)));
    return fd;
  }

  [[nodiscard]] std::string url() const { return url_of(access_.url, offer_.image.file()); }

  const Dir& root_;
  const ChannelAccess& access_;
  const Offer& offer_;
  const DownloadProgress& progress_;
  std::string name_;
  std::string part_;
};

}  // namespace

Result<VerifiedIndex> fetch_index(const ChannelAccess& access) {
  TRY_VOID(check_channel_url(access.url));
  const std::string url = url_of(access.url, kIndexFile);
  Result<Bytes> cms = download_to_memory(access.fetcher, url, kMaxSignedIndex);
  if (!cms && cms.error().code == Errc::untrusted) cms.error().reason = Reason::index_untrusted;
  if (!cms) return std::move(cms).error();
  TRY(VerifiedIndex index, VerifiedIndex::verify(*cms, access.anchors, access.now).with_context(url));
  if (!access.channel.empty() && index.index().channel != access.channel) {
    return make_error(Errc::untrusted, Reason::index_untrusted,
                      url + ": this is channel " + index.index().channel + ", not " + access.channel);
  }
  return index;
}

Result<ChannelCheck> check_channel(const Dir& root, const ChannelAccess& access, const ChannelWish& wish,
                                   Remarks& remarks) {
  // Before the index is asked for: of two processes, the one that got the older index must not come second.
  TRY(const UniqueFd lock, lock_fetching(root));
  TRY(VerifiedIndex index, fetch_index(access));
  TRY(SeenFile seen, read_seen(root));
  TRY_VOID(compare_with_seen(seen.seen, index));
  if (!seen.damage.empty()) {
    remarks.push_back("what this node had seen of its channels is lost (" + seen.damage + "); index " +
                      std::to_string(index.index().serial) + " of channel " + index.index().channel +
                      " is taken as it is; the old file is now " + root.path_of(kDamagedSeenFile));
  }
  TRY_VOID(remember_seen(root, std::move(seen), index));
  TRY(Offer offer, select_image(index, wish));
  if (offer.waiting) remarks.push_back(offer.waiting->text());
  return ChannelCheck{std::move(index), std::move(offer)};
}

Result<FetchedImage> fetch_image(const Dir& root, const ChannelAccess& access, const Offer& offer,
                                 const DownloadProgress& progress) {
  TRY_VOID(check_channel_url(access.url));
  TRY(const UniqueFd lock, lock_fetching(root));
  return ImageFetch(root, access, offer, progress).run();
}

}  // namespace driverext
