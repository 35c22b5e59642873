#include "sysext/image_file.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"

namespace driverext {
namespace {

Error malformed(const std::string& what) { return make_error(Errc::untrusted, Reason::image_malformed, what); }

const Architecture* architecture_of(const Partition& partition) {
  for (const Architecture& candidate : all_architectures()) {
    if (partition.type == guid_from_text(candidate.root)) return &candidate;
  }
  return nullptr;
}

Result<ByteRange> find_range(const std::vector<Partition>& partitions, std::string_view type, const char* name) {
  const Guid wanted = guid_from_text(type);
  const auto it =
      std::find_if(partitions.begin(), partitions.end(), [&](const Partition& p) { return p.type == wanted; });
  if (it == partitions.end()) return malformed(std::string("there is no ") + name + " partition");
  if (it->offset % kVerityBlock != 0 || it->size % kVerityBlock != 0) {
    return malformed(std::string("the ") + name + " partition is not aligned to 4096 bytes");
  }
  return ByteRange{it->offset, it->size};
}

}  // namespace

Result<ImageFile> ImageFile::open(UniqueFd fd, std::string path) {
  Result<ImageFile> image = read(std::move(fd), std::move(path));
  // A file that ends before what it says it holds is malformed like any other.
  if (!image && image.error().code == Errc::invalid_input) {
    image.error().code = Errc::untrusted;
    image.error().reason = Reason::image_malformed;
  }
  return image;
}

Result<ImageFile> ImageFile::read(UniqueFd fd, std::string path) {
  ImageFile image;
  image.fd_ = std::move(fd);
  image.path_ = std::move(path);
  struct stat info {};
  if (::fstat(image.fd(), &info) != 0) return os_failure(errno, "cannot look at " + image.path_);
  if (!S_ISREG(info.st_mode)) return malformed("not a regular file");
  image.size_ = static_cast<uint64_t>(info.st_size);

  Bytes head(std::min<uint64_t>(kGptHeadSize, image.size_));
  TRY_VOID(read_exactly(image.fd(), head, 0, image.path_));
  TRY(const std::vector<Partition> partitions, parse_gpt(head, image.size_));
  // A lone generic or usr partition is what systemd would mount without verity: never ours.
  if (partitions.size() != 3) {
    return malformed("there are " + std::to_string(partitions.size()) +
                     " partitions; an extension has root, root-verity and root-verity-sig");
  }
  for (const Partition& partition : partitions) {
    if (image.architecture_ == nullptr) image.architecture_ = architecture_of(partition);
  }
  if (image.architecture_ == nullptr) return malformed("there is no root partition");
  TRY(image.data_, find_range(partitions, image.architecture_->root, "root"));
  TRY(image.hash_, find_range(partitions, image.architecture_->root_verity, "root-verity"));
  TRY(image.signature_range_, find_range(partitions, image.architecture_->root_verity_signature, "root-verity-sig"));

  Bytes superblock(kVerityBlock);
  TRY_VOID(read_exactly(image.fd(), superblock, image.hash_.offset, image.path_));
  TRY(image.verity_, parse_verity_superblock(superblock));
  if (image.verity_.data_blocks != image.data_.size / kVerityBlock) {
    return malformed("dm-verity superblock and partition table disagree about the size of the data");
  }
  if (hash_area_size(image.verity_.data_blocks) > image.hash_.size) {
    return malformed("the hash partition is too small for its tree");
  }

  if (image.signature_range_.size > kMaxSignaturePartition) {
    return malformed("signature partition of " + human_size(image.signature_range_.size) +
                     "; at most 4 MiB are accepted");
  }
  Bytes signature(image.signature_range_.size);
  TRY_VOID(read_exactly(image.fd(), signature, image.signature_range_.offset, image.path_));
  TRY(image.signature_, parse_signature_block(signature));
  return image;
}

Result<void> check_file_is_ours(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return os_failure(errno, "cannot look at " + path);
  const auto refuse = [&](const char* why) {
    return make_error(Errc::untrusted, Reason::unsafe_file, path + " " + why);
  };
  if (!S_ISREG(info.st_mode)) return refuse("is not a regular file");
  if (info.st_uid != 0 && info.st_uid != ::geteuid()) return refuse("is not owned by root");
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) return refuse("can be written by group or others");
  return {};
}

}  // namespace driverext
