#include "sysext/image_builder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/text.hpp"
#include "sys/process.hpp"
#include "sys/scratch_folder.hpp"
#include "sysext/hash_tree.hpp"
#include "sysext/image_signer.hpp"
#include "sysext/output_file.hpp"

namespace driverext {
namespace {

Digest derived(std::string_view purpose, ByteSpan input) {
  Sha256 hash;
  hash.update(as_bytes(purpose));
  hash.update(input);
  return hash.finish();
}

Guid guid_of(ByteSpan digest_half) { return guid_from_text(to_hex(digest_half.first(16))); }

// Where everything lies in a file that is about to be written.
struct Layout {
  ByteRange data;
  ByteRange hash;
  ByteRange signature;
  uint64_t file_size = 0;
};

Layout lay_out(uint64_t data_size, size_t manifest_size) {
  Layout layout;
  layout.data = {kGptFirstUsable, data_size};
  layout.hash = {layout.data.offset + data_size, hash_area_size(data_size / kVerityBlock)};
  layout.signature = {layout.hash.offset + layout.hash.size, signature_partition_size(manifest_size)};
  layout.file_size = round_up(layout.signature.offset + layout.signature.size + kGptBackupSize, 4096);
  return layout;
}

Result<void> write_partition_table(int fd, const Layout& layout, const Architecture& architecture,
                                   const Digest& root_hash, const std::string& path) {
  // Root hash to partition UUIDs: first and last half (Discoverable Partitions Specification).
  const ByteSpan hash(root_hash);
  const Digest signature_id = derived("driverext signature partition", hash);
  const Digest disk_id = derived("driverext disk", hash);
  const std::vector<Partition> partitions = {
      {guid_from_text(architecture.root), guid_of(hash.first(16)), layout.data.offset, layout.data.size,
       kPartitionReadOnly, "root"},
      {guid_from_text(architecture.root_verity), guid_of(hash.last(16)), layout.hash.offset, layout.hash.size,
       kPartitionReadOnly, "root-verity"},
      {guid_from_text(architecture.root_verity_signature), guid_of(ByteSpan(signature_id)), layout.signature.offset,
       layout.signature.size, kPartitionReadOnly, "root-verity-sig"},
  };
  const GptBytes gpt = format_gpt(partitions, guid_of(ByteSpan(disk_id)), layout.file_size);
  TRY_VOID(write_exactly(fd, gpt.head, 0, path));
  return write_exactly(fd, gpt.tail, layout.file_size - gpt.tail.size(), path);
}

Error interrupted() { return make_error(Errc::transient, "building the image was interrupted"); }

class Builder {
 public:
  explicit Builder(const BuildRequest& request) : request_(request) {}

  Result<BuiltImage> build() {
    const Architecture* architecture = find_architecture(request_.manifest.architecture);
    if (architecture == nullptr) {
      return make_error(Errc::invalid_input, "unknown architecture \"" + request_.manifest.architecture + "\"");
    }
    manifest_text_ = format_manifest(request_.manifest);
    TRY(OutputFile out, OutputFile::create(request_.output));
    TRY(const HashedImage hashed, fill(out));

    TRY_VOID(begin(request_.key != nullptr ? "signing" : "finishing (unsigned)"));
    TRY(const SignatureBlock block,
        make_signature({hashed.root_hash, hashed.layout.data.size / kVerityBlock, manifest_text_}, request_.key));
    TRY_VOID(write_signature(out.fd(), hashed.layout.signature, block, request_.output));
    TRY_VOID(write_partition_table(out.fd(), hashed.layout, *architecture, hashed.root_hash, request_.output));
    TRY_VOID(begin("writing to the disk"));
    TRY_VOID(out.finish(hashed.layout.file_size, request_.cancel_fd));
    return BuiltImage{hashed.root_hash, hashed.layout.file_size};
  }

 private:
  struct HashedImage {
    Layout layout;
    Digest root_hash{};
  };

  Result<void> begin(std::string_view stage) {
    if (is_readable(request_.cancel_fd)) return interrupted();
    stage_ = stage;
    tell(0, 0);
    return {};
  }
  void tell(uint64_t done, uint64_t total) const { request_.progress({stage_, done, total}); }

  // File system and hash tree.
  Result<HashedImage> fill(OutputFile& out) {
    if (!request_.file_system.empty()) return wrap_finished(out);
    TRY_VOID(begin("collecting files"));
    TRY(const TreeEntries entries, collect_tree(request_.trees, request_.files, request_.manifest, manifest_text_));
    if (request_.manifest.is_merged()) TRY_VOID(check_extension_tree(entries));
    if (request_.type == FileSystem::erofs) return pack_aside(entries, out);

    TRY_VOID(begin("packing (squashfs, zstd)"));
    TRY_VOID(pack_squashfs(entries, pack_options(), out.temporary_path(), out.fd(), kGptFirstUsable));
    TRY(const uint64_t end, out.size());
    if (end <= kGptFirstUsable) return make_error(Errc::system, "mksquashfs wrote nothing");
    TRY_VOID(begin("hashing (dm-verity)"));
    HashedImage image{lay_out(round_up(end - kGptFirstUsable, kVerityBlock), manifest_text_.size())};
    TRY_VOID(out.resize(image.layout.file_size));
    TRY(image.root_hash, write_hash_area({out.fd(), image.layout.data.offset}, {out.fd(), image.layout.hash.offset},
                                         superblock(image.layout), hash_options()));
    return image;
  }

  // mkfs.erofs takes a directory as it is, and writes a file of its own.
  Result<HashedImage> pack_aside(const TreeEntries& entries, OutputFile& out) {
    TRY(const ScratchFolder scratch, ScratchFolder::beside(request_.output));
    const std::string tree = scratch.path() + "/tree";
    if (::mkdir(tree.c_str(), 0700) != 0) return os_failure(errno, "cannot make " + tree);
    TRY_VOID(begin("packing (erofs, lz4hc)"));
    TRY_VOID(pack_erofs(entries, pack_options(), scratch.path() + "/erofs", tree));
    const UniqueFd packed(::open((scratch.path() + "/erofs").c_str(), O_RDONLY | O_CLOEXEC));
    if (!packed) return os_failure(errno, "cannot open " + scratch.path() + "/erofs");
    return take(packed, scratch.path() + "/erofs", out);
  }

  Result<HashedImage> wrap_finished(OutputFile& out) {
    TRY_VOID(begin("reading the file system"));
    TRY(FinishedFileSystem finished, read_file_system(request_.file_system, request_.cancel_fd));
    TRY(const Manifest manifest, parse_manifest(finished.manifest_text).with_context("the manifest in it"));
    if (format_manifest(manifest) != manifest_text_) {
      return make_error(Errc::invalid_input, request_.file_system + " holds another manifest than the one given");
    }
    // The bytes that stand in the file system are those that are signed.
    manifest_text_ = std::move(finished.manifest_text);
    if (manifest.is_merged()) TRY_VOID(check_extension_tree(finished.entries).with_context(request_.file_system));
    return take(finished.fd, request_.file_system, out);
  }

  // Copied and hashed in one go.
  Result<HashedImage> take(const UniqueFd& from, const std::string& file, OutputFile& out) {
    TRY_VOID(begin("copying and hashing (dm-verity)"));
    struct stat info {};
    if (::fstat(from.get(), &info) != 0) return os_failure(errno, "cannot look at " + file);
    const auto size = static_cast<uint64_t>(info.st_size);
    HashedImage image{lay_out(round_up(size, kVerityBlock), manifest_text_.size())};
    TRY_VOID(out.resize(image.layout.file_size));
    TRY(image.root_hash, copy_and_hash({{from.get(), 0}, size}, {out.fd(), image.layout.data.offset},
                                       {out.fd(), image.layout.hash.offset}, superblock(image.layout), hash_options()));
    return image;
  }

  [[nodiscard]] VeritySuperblock superblock(const Layout& layout) const {
    const Digest uuid = derived("driverext verity uuid", as_bytes(manifest_text_));
    VeritySuperblock superblock;
    superblock.salt = salt_of(manifest_text_);
    std::copy_n(uuid.begin(), superblock.uuid.size(), superblock.uuid.begin());
    superblock.data_blocks = layout.data.size / kVerityBlock;
    return superblock;
  }

  [[nodiscard]] PackOptions pack_options() const {
    PackOptions options;
    options.type = request_.type;
    options.zstd_level = request_.zstd_level;
    options.created = request_.manifest.created;
    const Digest uuid = derived("driverext erofs uuid", as_bytes(manifest_text_));
    std::copy_n(uuid.begin(), options.uuid.size(), options.uuid.begin());
    // Source trees are thousands of small files, read as a whole.
    if (!request_.manifest.is_loadable()) options.fragments = PackOptions::Fragments::shared;
    options.run_in = request_.run_in;
    options.cancel_fd = request_.cancel_fd;
    options.progress = [this](uint64_t done, uint64_t total) { tell(done, total); };
    return options;
  }

  [[nodiscard]] HashOptions hash_options() const {
    return {.cancel_fd = request_.cancel_fd, .progress = [this](uint64_t done, uint64_t total) { tell(done, total); }};
  }

  const BuildRequest& request_;
  std::string manifest_text_;
  std::string stage_;
};

}  // namespace

Result<BuiltImage> build_image(const BuildRequest& request) { return Builder(request).build(); }

}  // namespace driverext
