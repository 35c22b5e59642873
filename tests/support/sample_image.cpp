#include "sample_image.hpp"

#include <fcntl.h>

#include <algorithm>

#include "base/json.hpp"
#include "crypto/digest.hpp"
#include "verdict.hpp"

namespace driverext::test {
namespace {

constexpr size_t kSignaturePartition = 2;  // the builder's order: root, root-verity, root-verity-sig

std::string module_folder(const SampleOptions& options) {
  return "usr/lib/modules/" + options.kernel_release + "/driverext/" + options.driver + "/";
}

}  // namespace

std::string stand_in(const std::string& name, size_t size) {
  std::string text = "stand-in for " + name + ".ko\n";
  uint32_t state = 1;
  while (text.size() < size) {
    state = state * 1664525 + 1013904223;
    text += static_cast<char>(state >> 24);
  }
  return text;
}

const Identity& publisher() {
  static const Identity identity = make_identity();
  return identity;
}

const Identity& stranger() {
  static const Identity identity = make_identity({.name = "driverext test stranger"});
  return identity;
}

TrustStore publisher_only() {
  TrustStore anchors;
  must(anchors.add_pem(publisher().certificate_pem, "publisher"));
  return anchors;
}

SampleOptions sample_source() { return {.kind = Kind::source}; }
SampleOptions sample_builder() { return {.driver = "builder", .kind = Kind::builder}; }

Manifest sample_manifest(const SampleOptions& options) {
  const auto files = sample_files(options);
  const auto record = [&](const char* name, const char* build_id, std::vector<std::string> depends) {
    const std::string path = module_folder(options) + name + ".ko";
    const std::string& text = files.at(path);
    return ModuleRecord{name, path, text.size(), to_hex(sha256(as_bytes(text))), build_id, std::move(depends)};
  };
  Manifest manifest;
  manifest.driver = options.driver;
  manifest.version = options.version;
  manifest.kind = options.kind;
  manifest.architecture = options.architecture;
  manifest.os_id = "debian";
  manifest.os_version_id = "12";
  manifest.license = "GPL";
  manifest.created = options.created;
  manifest.userland = options.userland;
  if (options.kind == Kind::builder) manifest.kernels = options.kernels;
  if (!manifest.is_loadable()) return manifest;
  manifest.kernel_release = options.kernel_release;
  manifest.vermagic = options.kernel_release + " SMP preempt mod_unload modversions ";
  manifest.modules = {record("testcam", "aa01", {"testcore", "videodev"}), record("testcore", "aa02", {})};
  return manifest;
}

std::map<std::string, std::string> sample_files(const SampleOptions& options) {
  if (options.kind == Kind::source) {
    return {{"usr/src/driverext/" + options.driver + "-" + options.version + "/Makefile", "obj-m := testcam.o\n"},
            {"usr/src/driverext/" + options.driver + "-" + options.version + "/src/testcam.c", "int i;\n"}};
  }
  if (options.kind == Kind::userland) return {{"usr/lib64/libtestcam.so." + options.version, "a library"}};
  if (options.kind == Kind::builder) {
    std::map<std::string, std::string> files = {{"usr/bin/make", "stand-in"}};
    for (const std::string& kernel : options.kernels) files["usr/lib/modules/" + kernel + "/build/Makefile"] = "#";
    return files;
  }
  return {{module_folder(options) + "testcam.ko", stand_in("testcam", options.padding)},
          {module_folder(options) + "testcore.ko", stand_in("testcore", 100)}};
}

BuildRequest sample_request(const std::string& output, const SampleOptions& options) {
  BuildRequest request;
  request.manifest = sample_manifest(options);
  request.output = output;
  request.zstd_level = 1;
  for (const auto& [path, text] : sample_files(options)) request.files.push_back({"", path, text});
  return request;
}

std::string build_bytes(const SampleOptions& options, const Identity* signer) {
  const TempDir scratch;
  BuildRequest request = sample_request(scratch / "image.raw", options);
  std::optional<SigningKey> key;
  if (signer != nullptr) {
    key = signer->signing_key();
    request.key = &*key;
  }
  must(build_image(request));
  return read_whole(request.output);
}

const std::string& sample_bytes() {
  static const std::string bytes = build_bytes({}, &publisher());
  return bytes;
}

const std::string& kept_bytes(const SampleOptions& options) {
  static std::map<std::string, std::string> built;
  std::string& bytes = built[format_manifest(sample_manifest(options))];
  if (bytes.empty()) bytes = build_bytes(options, &publisher());
  return bytes;
}

Result<ImageFile> open_bytes(const std::string& bytes) {
  const TempDir scratch;  // the open file outlives its name
  write_file(scratch / "image.raw", bytes);
  TRY(UniqueFd fd, scratch.dir().open_file("image.raw", O_RDONLY));
  return ImageFile::open(std::move(fd), "image.raw");
}

Result<VerifiedImage> verify_bytes(const std::string& bytes) {
  TRY(ImageFile file, open_bytes(bytes));
  return VerifiedImage::verify(std::move(file), publisher_only(), kNow);
}

std::vector<Partition> partitions_of(const std::string& bytes) {
  return must(parse_gpt(as_bytes(bytes).first(kGptHeadSize), as_bytes(bytes).last(kGptBackupSize), bytes.size()));
}

std::string with_partitions(std::string bytes, const std::vector<Partition>& partitions) {
  const GptBytes gpt = format_gpt(partitions, guid_from_text("00000000-0000-0000-0000-000000000001"), bytes.size());
  bytes.replace(0, gpt.head.size(), as_text(gpt.head));
  bytes.replace(bytes.size() - gpt.tail.size(), gpt.tail.size(), as_text(gpt.tail));
  return bytes;
}

std::string with_uuids_of(const std::string& bytes, const std::string& root_hash) {
  std::vector<Partition> partitions = partitions_of(bytes);
  partitions.at(0).uuid = guid_from_text(root_hash.substr(0, 32));
  partitions.at(1).uuid = guid_from_text(root_hash.substr(32));
  return with_partitions(bytes, partitions);
}

std::string flipped(std::string bytes, uint64_t offset) {
  bytes.at(offset) = static_cast<char>(bytes.at(offset) ^ 0x01);
  return bytes;
}

OrderedJson signature_of(const std::string& bytes) {
  const Partition partition = partitions_of(bytes).at(kSignaturePartition);
  const std::string text = bytes.substr(partition.offset, partition.size);
  return OrderedJson::parse(text.substr(0, text.find('\0')));
}

std::string with_signature(std::string bytes, const OrderedJson& signature) {
  const Partition partition = partitions_of(bytes).at(kSignaturePartition);
  std::string text = signature.dump();
  text.resize(partition.size, '\0');
  bytes.replace(partition.offset, partition.size, text);
  return bytes;
}

std::string with_signature_edit(const std::string& bytes, const std::function<void(OrderedJson&)>& edit) {
  OrderedJson signature = signature_of(bytes);
  edit(signature);
  return with_signature(bytes, signature);
}

std::string statement_about(const std::string& bytes, const std::string& manifest,
                            const std::optional<std::string>& root_hash) {
  return "driverext statement 1\nrootHash: " + root_hash.value_or(signature_of(bytes)["rootHash"]) +
         "\ndataBlocks: " + std::to_string(partitions_of(bytes)[0].size / kVerityBlock) + "\n" + manifest;
}

std::string with_statement(const std::string& bytes, const std::string& statement, const Identity& signer) {
  const SigningKey key = signer.signing_key();
  return with_signature_edit(bytes, [&](OrderedJson& signature) {
    const std::string root_hash = signature["rootHash"];
    signature["certificateFingerprint"] = key.fingerprint();
    signature["signature"] = to_base64(must(key.sign_detached(as_bytes(root_hash))));
    signature["driverext"] = to_base64(must(key.sign_attached(as_bytes(statement))));
  });
}

}  // namespace driverext::test
