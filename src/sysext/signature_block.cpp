#include "sysext/signature_block.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/json.hpp"
#include "sysext/manifest.hpp"

namespace driverext {
namespace {

constexpr std::string_view kStatementHead = "driverext statement 1\nrootHash: ";
constexpr std::string_view kDataBlocks = "\ndataBlocks: ";
constexpr size_t kHashDigits = 2 * sizeof(Digest);

Error malformed(const std::string& what) {
  return make_error(Errc::untrusted, Reason::image_malformed, "signature partition: " + what);
}

Result<Digest> digest_from_hex(std::string_view text) {
  const auto bytes = from_hex(text);
  Digest digest{};
  if (!bytes || bytes->size() != digest.size()) return malformed("rootHash is not 64 hex digits");
  std::copy(bytes->begin(), bytes->end(), digest.begin());
  return digest;
}

Result<SignatureBlock> read_members(const Json& object) {
  TRY_VOID(only_members(object, {"rootHash", "certificateFingerprint", "signature", "driverext", "manifest"}));
  SignatureBlock block;
  TRY(const std::string root_hash, json_string(object, "rootHash"));
  TRY(block.root_hash, digest_from_hex(root_hash));
  TRY(block.manifest, json_optional_string(object, "manifest"));
  TRY(const std::string signature, json_optional_string(object, "signature"));
  if (signature.empty()) return block;

  if (!block.manifest.empty()) return malformed("a signed image has a manifest outside its statement");
  TRY(block.certificate_fingerprint, json_string(object, "certificateFingerprint"));
  if (block.certificate_fingerprint.size() != kHashDigits || !from_hex(block.certificate_fingerprint)) {
    return malformed("certificateFingerprint is not 64 hex digits");
  }
  TRY(const std::string statement, json_optional_string(object, "driverext"));
  const auto signature_bytes = from_base64(signature);
  const auto statement_bytes = from_base64(statement);
  if (!signature_bytes || !statement_bytes) return malformed("a signature is not base64");
  block.signature = *signature_bytes;
  block.statement = *statement_bytes;
  return block;
}

}  // namespace

Result<SignatureBlock> parse_signature_block(ByteSpan partition) {
  const std::string_view all = as_text(partition);
  const std::string_view text = all.substr(0, all.find('\0'));
  if (all.find_first_not_of('\0', text.size()) != std::string_view::npos) {
    return malformed("bytes other than NUL behind the JSON");
  }
  if (text.empty()) {
    return make_error(Errc::untrusted, Reason::unsigned_image, "the signature partition is empty");
  }
  Result<Json> object = parse_json(text, {.max_size = kMaxSignaturePartition, .max_depth = 3});
  if (!object) return malformed(object.error().message());
  Result<SignatureBlock> block = read_members(*object);
  if (!block && !block.error().reason) return malformed(block.error().message());
  return block;
}

std::string format_signature_block(const SignatureBlock& block) {
  OrderedJson object = {{"rootHash", to_hex(block.root_hash)}};
  if (block.signature.empty()) {
    object["manifest"] = block.manifest;
  } else {
    object["certificateFingerprint"] = block.certificate_fingerprint;
    object["signature"] = to_base64(block.signature);
    if (!block.statement.empty()) object["driverext"] = to_base64(block.statement);
  }
  return object.dump();
}

uint64_t signature_partition_size(size_t manifest_size) {
  // Base64 takes 4 bytes for 3; 12 KiB are room for two signatures with long certificates. An
  // unsigned block holds the manifest as a JSON string, whose escapes need less than that.
  const uint64_t needed = uint64_t{12 << 10} + manifest_size * 3 / 2;
  return std::max(kMinSignaturePartition, round_up(needed, 4096));
}

std::string format_statement(const Statement& statement) {
  return std::string(kStatementHead) + to_hex(statement.root_hash) + std::string(kDataBlocks) +
         std::to_string(statement.data_blocks) + "\n" + statement.manifest;
}

Result<Statement> parse_statement(std::string_view text) {
  const auto mismatch = [](const char* what) {
    return make_error(Errc::untrusted, Reason::manifest_mismatch, std::string("signed statement: ") + what);
  };
  if (!text.starts_with(kStatementHead)) return mismatch("not a statement of this version");
  text.remove_prefix(kStatementHead.size());
  const auto bytes = from_hex(text.substr(0, kHashDigits));
  Statement statement;
  if (!bytes || bytes->size() != statement.root_hash.size()) return mismatch("no root hash in it");
  std::copy(bytes->begin(), bytes->end(), statement.root_hash.begin());
  text.remove_prefix(kHashDigits);
  if (!text.starts_with(kDataBlocks)) return mismatch("no number of data blocks in it");
  text.remove_prefix(kDataBlocks.size());
  const char* const end = text.data() + text.size();
  const auto [behind, error] = std::from_chars(text.data(), end, statement.data_blocks);
  const std::string_view digits(text.data(), static_cast<size_t>(behind - text.data()));
  if (error != std::errc() || behind == end || *behind != '\n' || digits != std::to_string(statement.data_blocks)) {
    return mismatch("no number of data blocks in it");
  }
  statement.manifest.assign(behind + 1, end);
  return statement;
}

}  // namespace driverext
