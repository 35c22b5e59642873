// Parts that are each good, and do not belong together.
#include <array>

#include "base/json.hpp"
#include "refusals/refusal.hpp"
#include "support/sample_image.hpp"

namespace driverext::test {
namespace {

const std::string& other_bytes() { return kept_bytes({.version = "2.0"}); }

std::string root_hash() { return signature_of(sample_bytes())["rootHash"]; }

std::string statement(const std::string& hash, const Manifest& manifest) {
  return statement_about(sample_bytes(), format_manifest(manifest), hash);
}

Refusal mismatch(const std::string& name, std::function<std::string()> bytes, const std::string& says,
                 std::vector<std::string> trust = {}) {
  return {"should-fail-" + name, Stage::binding, "manifest-mismatch", std::move(bytes), says, std::move(trust)};
}

// Superblock and both partition tables say that the data is this long, and agree: the root hash still leads to it.
std::string with_data_of(uint64_t blocks, uint64_t hash_blocks) {
  constexpr size_t kDataBlocks = 72;  // in the superblock
  std::string image = sample_bytes();
  std::vector<Partition> list = partitions_of(image);
  for (size_t i = 0; i < sizeof(uint64_t); ++i) {
    image[list[1].offset + kDataBlocks + i] = static_cast<char>(blocks >> (8 * i));
  }
  const std::array sizes = {blocks * 4096, hash_blocks * 4096};
  for (size_t i = 0; i < sizes.size(); ++i) {
    const uint64_t rest = list[i].size - sizes[i];
    image.replace(list[i].offset + sizes[i], rest, rest, '\0');
    list[i].size = sizes[i];
  }
  return with_partitions(std::move(image), list);
}

// What leads to the root hash is the one block of the tree, which stands where the data was.
std::string with_the_tree_as_data() {
  const Partition tree = partitions_of(sample_bytes())[1];
  std::string image = with_data_of(1, 1);
  return image.replace(partitions_of(image)[0].offset, 4096, sample_bytes(), tree.offset + 4096, 4096);
}

Refusal text(const std::string& name, const std::function<std::string()>& make) {
  return mismatch(
      name, [make] { return with_statement(sample_bytes(), make(), publisher()); }, "signed statement");
}

}  // namespace

std::vector<Refusal> binding_refusals() {
  static const Identity second = make_identity({.name = "second publisher"});
  return {
      mismatch(
          "statement-of-another-image",
          [] {
            const OrderedJson theirs = signature_of(other_bytes());
            return with_signature_edit(sample_bytes(),
                                       [&](OrderedJson& object) { object["driverext"] = theirs["driverext"]; });
          },
          "another root hash"),
      mismatch(
          "statement-about-another-root-hash",
          [] {
            return with_statement(sample_bytes(), statement(std::string(64, '0'), sample_manifest()), publisher());
          },
          "another root hash"),
      mismatch("statement-and-root-hash-by-two-publishers",
               [] {
                 const OrderedJson theirs =
                     signature_of(with_statement(sample_bytes(), statement(root_hash(), sample_manifest()), second));
                 return with_signature_edit(sample_bytes(),
                                            [&](OrderedJson& object) { object["driverext"] = theirs["driverext"]; });
               },
               "different certificates", {publisher().certificate_pem, second.certificate_pem}),
      mismatch(
          "fingerprint-of-another-certificate",
          [] {
            return with_signature_edit(sample_bytes(), [](OrderedJson& object) {
              object["certificateFingerprint"] = stranger().signing_key().fingerprint();
            });
          },
          "certificateFingerprint"),
      mismatch(
          "manifest-of-another-architecture",
          [] {
            Manifest manifest = sample_manifest();
            manifest.architecture = "arm64";
            return with_statement(sample_bytes(), statement(root_hash(), manifest), publisher());
          },
          "architectures"),
      mismatch(
          "data-cut-and-all-sizes-changed-to-fit",
          [] {
            const std::vector<Partition> list = partitions_of(sample_bytes());
            return with_data_of(list[0].size / 4096 - 1, list[1].size / 4096);
          },
          "data blocks"),
      mismatch("tree-as-data-and-all-sizes-changed-to-fit", with_the_tree_as_data, "data blocks"),
      text("statement-that-is-a-bare-root-hash", [] { return root_hash(); }),
      text("statement-that-is-a-bare-manifest", [] { return format_manifest(sample_manifest()); }),
      text("statement-of-version-2",
           [] {
             std::string other = statement(root_hash(), sample_manifest());
             return other.replace(other.find('1'), 1, "2");
           }),
      text("statement-with-a-short-root-hash", [] { return statement(root_hash().substr(1), sample_manifest()); }),
      text("statement-without-root-hash",
           [] { return "driverext statement 1\n" + format_manifest(sample_manifest()); }),
      text("statement-without-data-blocks",
           [] {
             std::string other = statement(root_hash(), sample_manifest());
             const size_t line = other.find("dataBlocks");
             return other.erase(line, other.find('\n', line) + 1 - line);
           }),
      text("statement-empty", [] { return std::string(); }),
  };
}

}  // namespace driverext::test
