#include "modules/module_signature.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <utility>

#include "crypto/signed_content.hpp"
#include "modules/module_file.hpp"
#include "sys/dir.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "~Module signature appended~\n";
constexpr size_t kTrailerSize = 12;
constexpr size_t kTypeOffset = 2;
constexpr size_t kSizeOffset = 8;
constexpr std::byte kPkcs7{2};  // PKEY_ID_PKCS7: the only type since Linux 4.3
constexpr size_t kMaxModuleSize = size_t{1} << 30;

uint32_t load_be32(ByteSpan bytes, size_t offset) { return __builtin_bswap32(load_le<uint32_t>(bytes, offset)); }

Error malformed(const std::string& what) { return make_error(Errc::invalid_input, "module signature: " + what); }

Result<std::optional<ByteSpan>> find_pkcs7(ByteSpan module) {
  if (!as_text(module).ends_with(kMagic)) return std::optional<ByteSpan>();
  const ByteSpan before_magic = module.first(module.size() - kMagic.size());
  if (before_magic.size() < kTrailerSize) return malformed("the file ends before it");
  const ByteSpan trailer = before_magic.last(kTrailerSize);
  // The kernel refuses what is not zero here (mod_check_sig).
  for (size_t i = 0; i < kSizeOffset; ++i) {
    if (i == kTypeOffset ? trailer[i] != kPkcs7 : trailer[i] != std::byte{0}) {
      return malformed("it is not of the PKCS#7 type that kernels take");
    }
  }
  const ByteSpan before_trailer = before_magic.first(before_magic.size() - kTrailerSize);
  const uint32_t size = load_be32(trailer, kSizeOffset);
  if (size == 0 || size >= before_trailer.size()) return malformed("it says to be larger than the file");
  return std::optional(before_trailer.last(size));
}

const char* decompressor(std::string_view bytes) {
  if (bytes.starts_with("\xfd"
                        "7zXZ"))
    return "xz -d";
  if (bytes.starts_with("\x28\xb5\x2f\xfd")) return "zstd -d --rm";
  if (bytes.starts_with("\x1f\x8b")) return "gzip -d";
  return nullptr;
}

struct ModuleBytes {
  std::string all;
  size_t unsigned_size = 0;
  mode_t mode = 0;
};

Result<ModuleBytes> read_module(const std::string& path, SignedBefore before) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return os_failure(errno, "cannot open module " + path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return os_failure(errno, "cannot look at module " + path);
  ModuleBytes module;
  TRY(module.all, read_fd(file.get(), kMaxModuleSize, path));
  module.mode = info.st_mode & 07777;
  if (const char* program = decompressor(module.all); program != nullptr) {
    return make_error(Errc::invalid_input,
                      path + " is compressed, and a signature is made of the module itself: run " + program + " first");
  }
  TRY(const std::optional<ModuleSignature> old, read_module_signature(as_bytes(module.all)).with_context(path));
  if (old && before == SignedBefore::refuse) {
    return make_error(Errc::conflict, path + " is signed already, by " + (old->signer.empty() ? "key" : old->signer) +
                                          " " + old->key_id + "; --replace takes that signature away");
  }
  module.unsigned_size = module.all.size() - (old ? old->size : 0);
  TRY_VOID(read_module_file(path));
  return module;
}

}  // namespace

Result<std::optional<ModuleSignature>> read_module_signature(ByteSpan module) {
  TRY(const std::optional<ByteSpan> pkcs7, find_pkcs7(module));
  if (!pkcs7) return std::optional<ModuleSignature>();
  const Result<UnverifiedSigner> signer = unverified_signer(*pkcs7);
  if (!signer) return malformed(signer.error().message());
  return std::optional(
      ModuleSignature{signer->issuer, signer->key_id, signer->digest, pkcs7->size() + kTrailerSize + kMagic.size()});
}

Result<Bytes> make_module_signature(ByteSpan module, const SigningKey& key, SignatureHash hash) {
  TRY(Bytes signature, key.sign_bare(module, hash));
  Bytes trailer(kTrailerSize);
  trailer[kTypeOffset] = kPkcs7;
  store_le(std::span(trailer), kSizeOffset, __builtin_bswap32(static_cast<uint32_t>(signature.size())));
  signature.insert(signature.end(), trailer.begin(), trailer.end());
  const ByteSpan magic = as_bytes(kMagic);
  signature.insert(signature.end(), magic.begin(), magic.end());
  return signature;
}

Result<void> check_module_can_be_signed(const std::string& path, SignedBefore before) {
  TRY_VOID(read_module(path, before));
  return {};
}

Result<ModuleSignature> sign_module_file(const std::string& path, const SigningKey& key, SignatureHash hash,
                                         SignedBefore before) {
  TRY(ModuleBytes module, read_module(path, before));
  module.all.resize(module.unsigned_size);
  TRY(const Bytes signature, make_module_signature(as_bytes(module.all), key, hash));
  module.all += as_text(signature);
  TRY(std::optional<ModuleSignature> made, read_module_signature(as_bytes(module.all)));
  if (!made) return make_error(Errc::internal, "the signature of " + path + " cannot be found again");

  // Not a symbolic link's name: what it leads to is replaced.
  std::error_code error;
  const fs::path file = fs::canonical(path, error);
  if (error) return os_failure(error.value(), "cannot find module " + path);
  TRY(const Dir folder, Dir::open_root(file.parent_path().string()));
  TRY_VOID(folder.write_atomic(file.filename().string(), module.all, module.mode));
  return *std::move(made);
}

}  // namespace driverext
