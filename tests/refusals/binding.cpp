// Parts that are each good, and do not belong together.
#include "refusals/refusal.hpp"
#include "support/sample_image.hpp"

namespace driverext::test {
namespace {

const std::string& other_bytes() { return kept_bytes({.version = "2.0"}); }

std::string root_hash() { return signature_of(sample_bytes())["rootHash"]; }

std::string statement(const std::string& hash, const Manifest& manifest) {
  return "driverext statement 1\nrootHash: " + hash + "\n" + format_manifest(manifest);
}

Refusal mismatch(const std::string& name, std::function<std::string()> bytes, const std::string& says,
                 std::vector<std::string> trust = {}) {
  return {"should-fail-" + name, Stage::binding, "manifest-mismatch", std::move(bytes), says, std::move(trust)};
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
      text("statement-empty", [] { return std::string(); }),
  };
}

}  // namespace driverext::test
