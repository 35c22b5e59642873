#include "sysext/image_builder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "base/text.hpp"
#include "crypto/signed_content.hpp"
#include "sys/process.hpp"
#include "sys/undo.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kCopyWindow = uint64_t{1} << 20;

Result<void> copy_range(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t size,
                        std::string_view what) {
  Bytes buffer(std::min(size, kCopyWindow));
  for (uint64_t done = 0; done < size;) {
    const auto window = std::span(buffer).first(std::min(kCopyWindow, size - done));
    TRY_VOID(read_exactly(from, window, from_offset + done, what));
    TRY_VOID(write_exactly(to, window, to_offset + done, what));
    done += window.size();
  }
  return {};
}

Result<void> copy_tree(const ImageTree& from, const fs::path& tree) {
  const fs::path target = from.path_in_image.empty() ? tree : tree / from.path_in_image;
  std::error_code error;
  for (fs::recursive_directory_iterator it(from.source, error), end; !error && it != end; it.increment(error)) {
    const fs::file_status status = it->symlink_status(error);
    if (fs::is_symlink(status) || fs::is_regular_file(status) || fs::is_directory(status)) continue;
    return make_error(Errc::invalid_input, it->path().string() + " is neither file, directory nor symbolic link");
  }
  if (!error) fs::create_directories(target, error);
  if (!error) fs::copy(from.source, target, fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
  if (error) return os_failure(error.value(), "cannot copy " + from.source);
  return {};
}

// Whatever the builder's umask and the sources' modes are, the image is the same.
Result<void> set_modes(const fs::path& tree) {
  std::error_code error;
  for (fs::recursive_directory_iterator it(tree, error), end; !error && it != end; it.increment(error)) {
    const fs::file_status status = it->symlink_status(error);
    if (error) break;
    if (fs::is_symlink(status)) continue;
    const bool executable = (status.permissions() & fs::perms::owner_exec) != fs::perms::none;
    fs::permissions(it->path(), fs::perms(fs::is_directory(status) || executable ? 0755 : 0644), error);
    if (error) break;
  }
  if (error) return os_failure(error.value(), "cannot prepare " + tree.string());
  return {};
}

// An extension is merged over the host's /usr: nothing else belongs in it, and no module index, which would hide the
// host's and every other extension's.
Result<void> check_extension_tree(const fs::path& tree) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(tree, error)) {
    if (entry.path().filename() != "usr") {
      return make_error(Errc::invalid_input,
                        "an extension holds usr/ only, not " + entry.path().filename().string() + "/");
    }
  }
  for (const fs::directory_entry& kernel : fs::directory_iterator(tree / "usr/lib/modules", error)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(kernel.path(), error)) {
      if (!entry.path().filename().string().starts_with("modules.")) continue;
      return make_error(Errc::invalid_input, fs::relative(entry.path(), tree).string() +
                                                 " is a module index, which would hide the host's; leave it out");
    }
  }
  return {};
}

Result<void> write_tree(const fs::path& tree, const BuildRequest& request) {
  std::vector<ImageContent> files = request.files;
  const Manifest& manifest = request.manifest;
  for (const ImageTree& from : request.trees) TRY_VOID(copy_tree(from, tree));
  files.push_back({"", std::string(kManifestPath), format_manifest(manifest)});
  files.push_back({"", "usr/lib/extension-release.d/extension-release." + manifest.driver,
                   "ID=" + manifest.os_id + "\nVERSION_ID=" + manifest.os_version_id +
                       "\nARCHITECTURE=" + manifest.architecture + "\n"});
  TRY(const Dir root, Dir::open_root(tree.string()));
  for (const ImageContent& file : files) {
    TRY_VOID(check_relative_path("path in image", file.path_in_image));
    if (file.source.empty()) {
      TRY_VOID(root.write_atomic(file.path_in_image, file.text, 0644));
      continue;
    }
    std::error_code error;
    const fs::path target = tree / file.path_in_image;
    fs::create_directories(target.parent_path(), error);
    if (!error) fs::copy_file(file.source, target, error);
    if (!error) fs::permissions(target, fs::perms(0644), error);
    if (error) return os_failure(error.value(), "cannot copy " + file.source);
  }
  if (manifest.is_merged()) TRY_VOID(check_extension_tree(tree));
  return set_modes(tree);
}

Digest derived(std::string_view purpose, ByteSpan input) {
  Sha256 hash;
  hash.update(as_bytes(purpose));
  hash.update(input);
  return hash.finish();
}

// The salt need only differ between images. Derived from the manifest it keeps builds reproducible, and shows later
// that a manifest is the one that the image was built with.
Bytes salt_of(std::string_view manifest_text) {
  const Digest digest = derived("driverext verity salt", as_bytes(manifest_text));
  return {digest.begin(), digest.end()};
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

Result<SignatureBlock> make_signature(const Digest& root_hash, std::string manifest_text, const SigningKey* key) {
  SignatureBlock block;
  block.root_hash = root_hash;
  if (key == nullptr) {
    block.manifest = std::move(manifest_text);
    return block;
  }
  const std::string hex = to_hex(root_hash);
  const std::string statement = format_statement({root_hash, std::move(manifest_text)});
  block.certificate_fingerprint = key->fingerprint();
  TRY(block.signature, key->sign_detached(as_bytes(hex)));
  TRY(block.statement, key->sign_attached(as_bytes(statement)));
  return block;
}

Result<void> write_signature(int fd, ByteRange range, const SignatureBlock& block, const std::string& path) {
  const std::string text = format_signature_block(block);
  if (text.size() >= range.size) {
    return make_error(Errc::invalid_input, "the signature needs " + human_size(text.size()) + ", its partition has " +
                                               human_size(range.size));
  }
  Bytes padded(range.size);
  const auto bytes = as_bytes(text);
  std::copy(bytes.begin(), bytes.end(), padded.begin());
  return write_exactly(fd, padded, range.offset, path);
}

// A file beside `output` that becomes it, or nothing.
class OutputFile {
 public:
  static Result<OutputFile> create(const std::string& output) {
    OutputFile file;
    file.output_ = output;
    file.temporary_ = output + ".XXXXXX";
    file.fd_ = UniqueFd(::mkostemp(file.temporary_.data(), O_CLOEXEC));
    if (!file.fd_) return os_failure(errno, "cannot create a file beside " + output);
    return file;
  }
  OutputFile(OutputFile&& other) noexcept
      : fd_(std::move(other.fd_)), output_(std::move(other.output_)), temporary_(std::exchange(other.temporary_, {})) {}
  OutputFile& operator=(OutputFile&&) = delete;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }

  [[nodiscard]] int fd() const { return fd_.get(); }
  Result<void> finish(uint64_t size) {
    if (::ftruncate(fd(), static_cast<off_t>(size)) != 0 || ::fchmod(fd(), 0644) != 0 || ::fsync(fd()) != 0) {
      return os_failure(errno, "cannot write " + output_);
    }
    if (::rename(temporary_.c_str(), output_.c_str()) != 0) return os_failure(errno, "cannot replace " + output_);
    temporary_.clear();
    return {};
  }

 private:
  OutputFile() = default;
  UniqueFd fd_;
  std::string output_;
  std::string temporary_;
};

Result<void> pack_squashfs(const fs::path& tree, const fs::path& output, const BuildRequest& request) {
  const std::string epoch = std::to_string(request.manifest.created);
  std::vector<std::string> command = {"mksquashfs",
                                      tree.string(),
                                      output.string(),
                                      "-comp",
                                      "zstd",
                                      "-Xcompression-level",
                                      std::to_string(request.zstd_level),
                                      "-noappend",
                                      "-no-progress",
                                      "-quiet",
                                      "-all-root",
                                      "-no-xattrs",
                                      "-no-exports",
                                      "-root-mode",
                                      "0755"};
  // Every module and library has blocks of its own, so damage in one does not take others with it. Source trees are
  // thousands of small files, read as a whole.
  if (request.manifest.is_loadable()) command.emplace_back("-no-fragments");
  // A container does not pass our environment on.
  if (!request.run_in.empty()) command.insert(command.begin(), {"env", "SOURCE_DATE_EPOCH=" + epoch});
  command.insert(command.begin(), request.run_in.begin(), request.run_in.end());
  Result<std::string> packed = run_program(command, {"SOURCE_DATE_EPOCH=" + epoch});
  if (!packed) return std::move(packed).error();
  return {};
}

}  // namespace

Result<BuiltImage> build_image(const BuildRequest& request) {
  const Architecture* architecture = find_architecture(request.manifest.architecture);
  if (architecture == nullptr) {
    return make_error(Errc::invalid_input, "unknown architecture \"" + request.manifest.architecture + "\"");
  }
  std::string scratch = request.output + ".tmp-XXXXXX";
  if (::mkdtemp(scratch.data()) == nullptr)
    return os_failure(errno, "cannot make a directory beside " + request.output);
  const Undo remove_scratch([&] {
    std::error_code ignored;
    fs::remove_all(scratch, ignored);
  });

  request.progress("collecting files");
  const fs::path tree = fs::path(scratch) / "tree";
  const fs::path packed = fs::path(scratch) / "squashfs";
  std::error_code error;
  fs::create_directory(tree, error);
  if (error) return os_failure(error.value(), "cannot make a directory beside " + request.output);
  TRY_VOID(write_tree(tree, request));

  request.progress("packing (squashfs, zstd)");
  TRY_VOID(pack_squashfs(tree, packed, request));
  const UniqueFd squashfs(::open(packed.c_str(), O_RDONLY | O_CLOEXEC));
  if (!squashfs) return os_failure(errno, "cannot open what mksquashfs wrote");
  struct stat info {};
  if (::fstat(squashfs.get(), &info) != 0) return os_failure(errno, "cannot look at what mksquashfs wrote");
  const auto squashfs_size = static_cast<uint64_t>(info.st_size);

  request.progress("hashing (dm-verity)");
  const std::string manifest_text = format_manifest(request.manifest);
  const Layout layout = lay_out(round_up(squashfs_size, kVerityBlock), manifest_text.size());
  TRY(OutputFile out, OutputFile::create(request.output));
  if (::ftruncate(out.fd(), static_cast<off_t>(layout.file_size)) != 0) {
    return os_failure(errno, "cannot write " + request.output);
  }
  TRY_VOID(copy_range(squashfs.get(), 0, out.fd(), layout.data.offset, squashfs_size, request.output));
  VeritySuperblock superblock;
  const Digest uuid = derived("driverext verity uuid", as_bytes(manifest_text));
  superblock.salt = salt_of(manifest_text);
  std::copy_n(uuid.begin(), superblock.uuid.size(), superblock.uuid.begin());
  superblock.data_blocks = layout.data.size / kVerityBlock;
  TRY(const HashArea area, build_hash_area(out.fd(), layout.data.offset, superblock));
  TRY_VOID(write_exactly(out.fd(), area.bytes, layout.hash.offset, request.output));

  request.progress(request.key != nullptr ? "signing" : "finishing (unsigned)");
  TRY(const SignatureBlock block, make_signature(area.root_hash, manifest_text, request.key));
  TRY_VOID(write_signature(out.fd(), layout.signature, block, request.output));
  TRY_VOID(write_partition_table(out.fd(), layout, *architecture, area.root_hash, request.output));
  TRY_VOID(out.finish(layout.file_size));
  return BuiltImage{area.root_hash, layout.file_size};
}

Result<BuiltImage> sign_image(const ImageFile& image, const SigningKey& key, const std::string& output) {
  const Digest root_hash = image.signature_block().root_hash;
  TRY(std::string manifest_text, unverified_manifest_text(image));
  TRY(const Bytes area, image.read_hash_area());
  TRY_VOID(check_hash_tree(area, image.verity(), root_hash));
  TRY_VOID(check_data_blocks(image.fd(), image.data().offset, area, image.verity(), root_hash));
  TRY(const Manifest manifest, parse_manifest(manifest_text).with_context("manifest"));
  if (image.verity().salt != salt_of(manifest_text) || manifest.architecture != image.architecture().name) {
    return make_error(Errc::untrusted, Reason::manifest_mismatch,
                      "the manifest in the signature partition is not the one that the image was built with");
  }
  TRY(const SignatureBlock block, make_signature(root_hash, std::move(manifest_text), &key));

  TRY(OutputFile out, OutputFile::create(output));
  TRY_VOID(copy_range(image.fd(), 0, out.fd(), 0, image.size(), output));
  TRY_VOID(write_signature(out.fd(), image.signature(), block, output));
  TRY_VOID(out.finish(image.size()));
  return BuiltImage{root_hash, image.size()};
}

Result<std::string> unverified_manifest_text(const ImageFile& image) {
  const SignatureBlock& block = image.signature_block();
  if (block.signature.empty()) return block.manifest;
  if (block.is_foreign()) {
    return make_error(Errc::untrusted, Reason::manifest_missing,
                      "the image was made by another tool and has no manifest");
  }
  TRY(const Bytes content, unverified_content(block.statement));
  TRY(Statement statement, parse_statement(as_text(content)));
  return std::move(statement.manifest);
}

}  // namespace driverext
