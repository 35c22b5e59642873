#include "sysext/image_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr uint64_t kMaxGap = 1 << 20;     // partitions are aligned to no more than this
constexpr uint64_t kMaxSlack = 64 << 20;  // systemd-repart is told sizes beforehand, or shares out what is left

Error malformed(const std::string& what) { return make_error(Errc::untrusted, Reason::image_malformed, what); }

const Architecture* architecture_of(const Partition& partition) {
  for (const Architecture& candidate : all_architectures()) {
    if (partition.type == guid_from_text(candidate.root)) return &candidate;
  }
  return nullptr;
}

Result<const Partition*> find_partition(const std::vector<Partition>& partitions, std::string_view type,
                                        const char* name) {
  const Guid wanted = guid_from_text(type);
  const auto it =
      std::find_if(partitions.begin(), partitions.end(), [&](const Partition& p) { return p.type == wanted; });
  if (it == partitions.end()) return malformed(std::string("there is no ") + name + " partition");
  if (it->offset % kVerityBlock != 0 || it->size % kVerityBlock != 0) {
    return malformed(std::string("the ") + name + " partition is not aligned to 4096 bytes");
  }
  // What systemd passes over (no-auto), or what means something that is not known here, is not what we would attach.
  if ((it->attributes & ~(kPartitionReadOnly | kPartitionGrow)) != 0) {
    return malformed(std::string("the ") + name + " partition has attributes other than read-only and grow");
  }
  return &*it;
}

ByteRange range_of(const Partition& partition) { return {partition.offset, partition.size}; }

// Bytes that belong to nothing hold nothing, and are not many: room left by alignment.
Result<void> check_unused(int fd, ByteRange range, uint64_t at_most, const std::string& where) {
  if (range.size > at_most) {
    return malformed(human_size(range.size) + " that nothing describes " + where + "; at most " + human_size(at_most) +
                     " are accepted");
  }
  Bytes buffer(std::min(range.size, uint64_t{256} << 10));
  for (uint64_t done = 0; done < range.size;) {
    const auto piece = std::span(buffer).first(std::min<uint64_t>(buffer.size(), range.size - done));
    TRY_VOID(read_exactly(fd, piece, range.offset + done, "image"));
    if (!is_all_zero(piece)) return malformed("data that nothing describes " + where);
    done += piece.size();
  }
  return {};
}

// Between the tables and the partitions, and behind the last one.
Result<void> check_gaps(int fd, std::vector<Partition> partitions, uint64_t file_size) {
  std::sort(partitions.begin(), partitions.end(),
            [](const Partition& a, const Partition& b) { return a.offset < b.offset; });
  uint64_t end = kGptHeadSize;
  for (const Partition& partition : partitions) {
    TRY_VOID(check_unused(fd, {end, partition.offset - end}, kMaxGap, "before a partition"));
    end = partition.offset + partition.size;
  }
  return check_unused(fd, {end, file_size - kGptBackupSize - end}, kMaxGap, "behind the last partition");
}

// systemd finds the root hash by these, so an image in which they say something else is two images in one.
bool names_root_hash(const Digest& root_hash, const Partition& data, const Partition& hash) {
  const ByteSpan bytes(root_hash);
  return data.uuid == guid_from_text(to_hex(bytes.first(sizeof(Guid)))) &&
         hash.uuid == guid_from_text(to_hex(bytes.last(sizeof(Guid))));
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
  Bytes tail(std::min<uint64_t>(kGptBackupSize, image.size_));
  TRY_VOID(read_exactly(image.fd(), head, 0, image.path_));
  TRY_VOID(read_exactly(image.fd(), tail, image.size_ - tail.size(), image.path_));
  TRY(image.partitions_, parse_gpt(head, tail, image.size_));
  // A lone generic or usr partition is what systemd would mount without verity: never ours.
  if (image.partitions_.size() != 3) {
    return malformed("there are " + std::to_string(image.partitions_.size()) +
                     " partitions; an extension has root, root-verity and root-verity-sig");
  }
  for (const Partition& partition : image.partitions_) {
    if (image.architecture_ == nullptr) image.architecture_ = architecture_of(partition);
  }
  if (image.architecture_ == nullptr) return malformed("there is no root partition");
  TRY(const Partition* data, find_partition(image.partitions_, image.architecture_->root, "root"));
  TRY(const Partition* hash, find_partition(image.partitions_, image.architecture_->root_verity, "root-verity"));
  TRY(const Partition* signature,
      find_partition(image.partitions_, image.architecture_->root_verity_signature, "root-verity-sig"));
  image.data_ = range_of(*data);
  image.hash_ = range_of(*hash);
  image.signature_range_ = range_of(*signature);
  TRY_VOID(check_gaps(image.fd(), image.partitions_, image.size_));

  TRY_VOID(image.read_signature());
  TRY_VOID(image.read_superblock());
  if (!names_root_hash(image.signature_.root_hash, *data, *hash)) {
    return malformed("the partitions' UUIDs are not the two halves of the root hash");
  }
  return image;
}

Result<void> ImageFile::read_signature() {
  if (signature_range_.size > kMaxSignaturePartition) {
    return malformed("signature partition of " + human_size(signature_range_.size) + "; at most 4 MiB are accepted");
  }
  Bytes signature(signature_range_.size);
  TRY_VOID(read_exactly(fd(), signature, signature_range_.offset, path_));
  TRY(signature_, parse_signature_block(signature));
  return {};
}

Result<void> ImageFile::read_superblock() {
  Bytes superblock(kVerityBlock);
  TRY_VOID(read_exactly(fd(), superblock, hash_.offset, path_));
  TRY(verity_, parse_verity_superblock(superblock, signature_.is_foreign() ? BlockSizes::any : BlockSizes::only_4096));
  // systemd-repart shares out what room the file has left among the partitions. In our own images there is none.
  const uint64_t room = data_.size / verity_.data_block_size;
  const bool fits = signature_.is_foreign() ? verity_.data_blocks <= room : verity_.data_blocks == room;
  if (!fits || data_.size % verity_.data_block_size != 0) {
    return malformed("dm-verity superblock and partition table disagree about the size of the data");
  }
  const uint64_t described = verity_.data_blocks * verity_.data_block_size;
  TRY_VOID(check_unused(fd(), {data_.offset + described, data_.size - described}, kMaxSlack, "behind the data"));
  data_.size = described;
  const uint64_t used = hash_area_size(verity_.data_blocks, verity_.hash_block_size);
  if (used > hash_.size) return malformed("the hash partition is too small for its tree");
  return check_unused(fd(), {hash_.offset + used, hash_.size - used}, kMaxSlack, "behind the hash tree");
}

namespace {

// Where the bytes are kept by this kernel alone. On a network's or a program's file system (NFS, CIFS, 9p, FUSE and so
// virtiofs) they are whatever the other side says, at each read. Magic numbers: statfs(2), linux/magic.h.
constexpr std::array<uint64_t, 17> kLocalFileSystems = {
    0xef53,      // ext2, ext3, ext4
    0x58465342,  // xfs
    0x9123683e,  // btrfs
    0xf2f52010,  // f2fs
    0xca451a4e,  // bcachefs
    0x2fc12fc1,  // zfs
    0x3153464a,  // jfs
    0x01021994,  // tmpfs
    0x858458f6,  // ramfs
    0x794c7630,  // overlayfs
    0x73717368,  // squashfs
    0xe0f5e1e2,  // erofs
    0x9660,      // iso9660
    0x15013346,  // udf
    0x4d44,      // vfat
    0x2011bab0,  // exfat
    0x3434,      // nilfs2
};

bool is_local(uint64_t magic) {
  return std::find(kLocalFileSystems.begin(), kLocalFileSystems.end(), magic) != kLocalFileSystems.end();
}

// The kernel gives a read lease only on a file that nobody has open for writing; it is handed back at once.
bool has_writer(int fd) {
  if ((::fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY) return false;  // it is we who are about to write it
  // Whoever opens it for writing while we hold the lease makes the kernel signal us, and SIGIO would end this process.
  ::fcntl(fd, F_SETSIG, SIGURG);
  if (::fcntl(fd, F_SETLEASE, F_RDLCK) != 0) return errno == EAGAIN;  // not every file system has leases
  ::fcntl(fd, F_SETLEASE, F_UNLCK);
  return false;
}

}  // namespace

Result<void> check_file_is_ours(int fd, const std::string& path) {
  struct stat info {};
  struct statfs file_system {};
  if (::fstat(fd, &info) != 0 || ::fstatfs(fd, &file_system) != 0) return os_failure(errno, "cannot look at " + path);
  const auto refuse = [&](const std::string& why) {
    return make_error(Errc::untrusted, Reason::unsafe_file, path + " " + why);
  };
  if (!S_ISREG(info.st_mode)) return refuse("is not a regular file");
  if (info.st_uid != 0 && info.st_uid != ::geteuid()) return refuse("is not owned by root");
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) return refuse("can be written by group or others");
  const auto magic = static_cast<uint32_t>(file_system.f_type);
  if (!is_local(magic)) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "0x%x", magic);
    return refuse(std::string("lies on a file system that another machine or program answers for (type ") +
                  text.data() + "); copy it to a local disk");
  }
  if (has_writer(fd)) return refuse("is open for writing elsewhere");
  return {};
}

}  // namespace driverext
