// The two CMS, before it is asked who signed: not there, not CMS, of a kind that is not accepted, over something else.
#include <cctype>

#include "base/json.hpp"
#include "crypto/digest.hpp"
#include "refusals/refusal.hpp"
#include "support/sample_image.hpp"
#include "support/verdict.hpp"

namespace driverext::test {
namespace {

std::string root_hash() { return signature_of(sample_bytes())["rootHash"]; }

std::string statement() { return statement_about(sample_bytes(), format_manifest(sample_manifest())); }

std::string with_member(const char* name, const Bytes& der) {
  return with_signature_edit(sample_bytes(), [&](OrderedJson& object) { object[name] = to_base64(der); });
}

std::string damaged(const char* name, size_t from_end) {
  Bytes der = *from_base64(signature_of(sample_bytes())[name].get<std::string>());
  der[der.size() - 1 - from_end] ^= std::byte{1};
  return with_member(name, der);
}

// SignedData with the content "x", no certificates and no signers.
Bytes signed_by_nobody() {
  return from_hex(
             "302806092a864886f70d010702a01b3019020101310030"
             "1006092a864886f70d010701a003040178"
             "3100")
      .value();
}

Bytes text_bytes(std::string_view text) {
  const ByteSpan bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

Refusal invalid(const std::string& name, std::function<std::string()> bytes, const std::string& says = "") {
  return {"should-fail-" + name, Stage::signature, "signature-invalid", std::move(bytes), says};
}

std::string with_root_hash_cms(const CmsRequest& request) {
  return with_member("signature", make_cms(root_hash(), request));
}
std::string with_statement_cms(const CmsRequest& request) {
  return with_member("driverext", make_cms(statement(), request));
}

}  // namespace

std::vector<Refusal> signature_refusals() {
  return {
      {"should-fail-unsigned", Stage::signature, "unsigned-image", [] { return build_bytes({}, nullptr); }},
      {"should-fail-signature-stripped", Stage::signature, "unsigned-image",
       [] { return with_signature_edit(sample_bytes(), [](OrderedJson& object) { object.erase("signature"); }); }},
      {"should-fail-signature-emptied", Stage::signature, "unsigned-image",
       [] { return with_signature_edit(sample_bytes(), [](OrderedJson& object) { object["signature"] = ""; }); }},
      {"should-fail-statement-stripped", Stage::signature, "manifest-missing",
       [] { return with_signature_edit(sample_bytes(), [](OrderedJson& object) { object.erase("driverext"); }); }},
      invalid("flipped-bit-in-root-hash-signature", [] { return damaged("signature", 0); }),
      invalid("flipped-bit-in-statement-signature", [] { return damaged("driverext", 0); }),
      invalid("root-hash-signature-not-cms", [] { return with_member("signature", text_bytes("not DER")); }),
      invalid(
          "statement-not-cms", [] { return with_member("driverext", text_bytes("not DER")); }, "not CMS"),
      invalid(
          "statement-cms-cut",
          [] {
            Bytes der = *from_base64(signature_of(sample_bytes())["driverext"].get<std::string>());
            der.resize(der.size() / 2);
            return with_member("driverext", der);
          },
          "not CMS"),
      invalid(
          "statement-without-signer", [] { return with_member("driverext", signed_by_nobody()); }, "0 signers"),
      invalid(
          "root-hash-without-signer", [] { return with_member("signature", signed_by_nobody()); }, "0 signers"),
      invalid(
          "statement-with-two-signers",
          [] {
            return with_statement_cms({.signers = {&publisher(), &stranger()}});
          },
          "2 signers"),
      invalid(
          "root-hash-with-two-signers",
          [] {
            return with_root_hash_cms({.signers = {&publisher(), &stranger()}, .content = Content::detached});
          },
          "2 signers"),
      invalid(
          "statement-by-sha1", [] { return with_statement_cms({.signers = {&publisher()}, .hash = Hash::sha1}); },
          "digest algorithm"),
      invalid(
          "root-hash-by-sha1",
          [] {
            return with_root_hash_cms({.signers = {&publisher()}, .hash = Hash::sha1, .content = Content::detached});
          },
          "digest algorithm"),
      invalid("statement-without-content",
              [] { return with_statement_cms({.signers = {&publisher()}, .content = Content::detached}); }),
      invalid("root-hash-signature-as-statement",
              [] {
                return with_signature_edit(sample_bytes(),
                                           [](OrderedJson& object) { object["driverext"] = object["signature"]; });
              }),
      invalid("signature-over-another-root-hash",
              [] {
                const std::string other = std::string(63, '0') + "1";
                return with_member("signature",
                                   make_cms(other, {.signers = {&publisher()}, .content = Content::detached}));
              }),
      invalid("signature-over-root-hash-in-capitals",
              [] {
                std::string capitals = root_hash();
                for (char& c : capitals) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
                return with_member("signature",
                                   make_cms(capitals, {.signers = {&publisher()}, .content = Content::detached}));
              }),
      invalid("signature-over-root-hash-and-line-end",
              [] {
                return with_member("signature", make_cms(root_hash() + "\n",
                                                         {.signers = {&publisher()}, .content = Content::detached}));
              }),
      invalid("root-hash-exchanged",
              [] {
                std::string other = root_hash();
                other[0] = other[0] == 'a' ? 'b' : 'a';
                return with_uuids_of(
                    with_signature_edit(sample_bytes(), [&](OrderedJson& object) { object["rootHash"] = other; }),
                    other);
              }),
  };
}

}  // namespace driverext::test
