// The JSON in the signature partition: one object, of known members, once each, and NUL bytes behind it.
#include "base/json.hpp"
#include "refusals/refusal.hpp"
#include "support/sample_image.hpp"

namespace driverext::test {
namespace {

std::string good_text() { return signature_of(sample_bytes()).dump(); }

std::string with_text(std::string text) {
  std::string image = sample_bytes();
  const Partition partition = partitions_of(image)[2];
  text.resize(partition.size, '\0');
  return image.replace(partition.offset, partition.size, text);
}

Refusal text(const std::string& name, const std::function<std::string(std::string)>& edit, const std::string& says,
             const std::string& reason = "image-malformed") {
  return {"should-fail-signature-" + name, Stage::signature_partition, reason,
          [edit] { return with_text(edit(good_text())); }, says};
}

Refusal member(const std::string& name, const char* key, const OrderedJson& value, const std::string& says) {
  return {"should-fail-signature-" + name, Stage::signature_partition, "image-malformed",
          [=] { return with_signature_edit(sample_bytes(), [&](OrderedJson& object) { object[key] = value; }); }, says};
}

Refusal without(const std::string& name, const char* key) {
  return {"should-fail-signature-" + name, Stage::signature_partition, "image-malformed",
          [=] { return with_signature_edit(sample_bytes(), [&](OrderedJson& object) { object.erase(key); }); }, key};
}

// One member more, whose value is nothing but lists in lists, each of them closed.
std::string with_nesting(const std::string& object, size_t depth) {
  return "{\"x\":" + std::string(depth, '[') + std::string(depth, ']') + "," + object.substr(1);
}

// A second member of the same name in front: many readers keep the last, some the first.
std::string doubled(const std::string& object, const std::string& written, const std::string& value) {
  return "{\"" + written + "\":\"" + value + "\"," + object.substr(1);
}

std::string edited_member(const char* name, const std::function<std::string(std::string)>& edit) {
  return with_signature_edit(sample_bytes(), [&](OrderedJson& object) { object[name] = edit(object[name]); });
}

}  // namespace

std::vector<Refusal> signature_partition_refusals() {
  const std::string hash(64, 'a');
  return {
      text(
          "partition-empty", [](const auto&) { return ""; }, "empty", "unsigned-image"),
      text(
          "json-cut", [](const auto& good) { return good.substr(0, good.size() - 1); }, "not JSON at byte"),
      text(
          "json-cut-in-a-string", [](const auto& good) { return good.substr(0, 40); }, "not JSON at byte"),
      text(
          "json-list", [](const auto& good) { return "[" + good + "]"; }, "not a JSON object"),
      text(
          "json-string", [](const auto&) { return "\"signature\""; }, "not a JSON object"),
      text(
          "json-nested-too-deep", [](const auto& good) { return with_nesting(good, 1000); }, "nested more than"),
      text(
          "json-after-json", [](const auto& good) { return good + good; }, "not JSON at byte"),
      text(
          "comment-behind", [](const auto& good) { return good + "//x"; }, "not JSON at byte"),
      text(
          "comma-behind-the-last-member", [](const auto& good) { return good.substr(0, good.size() - 1) + ",}"; },
          "not JSON at byte"),
      text(
          "byte-order-mark", [](const auto& good) { return "\xef\xbb\xbf" + good; }, "a byte order mark"),
      text(
          "not-utf-8",
          [](auto good) {
            const std::string member = "\"certificateFingerprint\":\"";
            good[good.find(member) + member.size()] = '\xff';
            return good;
          },
          "not JSON at byte"),
      text(
          "in-single-quotes",
          [](auto good) {
            for (char& c : good) c = c == '"' ? '\'' : c;
            return good;
          },
          "not JSON at byte"),
      text(
          "data-behind-the-padding",
          [](auto good) {
            good.resize(good.size() + 100, '\0');
            return good + "x";
          },
          "NUL"),
      text(
          "padded-with-spaces-and-nul", [](const auto& good) { return good + std::string(1, '\0') + " "; }, "NUL"),
      text(
          "root-hash-twice", [=](const auto& good) { return doubled(good, "rootHash", hash); }, "rootHash"),
      text(
          "root-hash-twice-by-escape", [=](const auto& good) { return doubled(good, "\\u0072ootHash", hash); },
          "rootHash"),
      text(
          "fingerprint-twice", [=](const auto& good) { return doubled(good, "certificateFingerprint", hash); },
          "certificateFingerprint"),
      text(
          "signature-twice", [](const auto& good) { return doubled(good, "signature", "AAAA"); }, "signature"),
      text(
          "statement-twice", [](const auto& good) { return doubled(good, "driverext", "AAAA"); }, "driverext"),
      member("unknown-member", "revoked", false, "revoked"),
      member("manifest-beside-the-statement", "manifest", "{}", "outside its statement"),
      without("root-hash-missing", "rootHash"),
      without("fingerprint-missing", "certificateFingerprint"),
      member("root-hash-short", "rootHash", std::string(63, 'a'), "rootHash"),
      member("root-hash-of-sha512", "rootHash", std::string(128, 'a'), "rootHash"),
      member("root-hash-in-capitals", "rootHash", std::string(64, 'A'), "rootHash"),
      member("root-hash-number", "rootHash", 1, "rootHash"),
      member("root-hash-null", "rootHash", nullptr, "rootHash"),
      member("fingerprint-short", "certificateFingerprint", "ab", "certificateFingerprint"),
      member("fingerprint-not-hex", "certificateFingerprint", std::string(64, 'g'), "certificateFingerprint"),
      member("list", "signature", OrderedJson::array(), "signature"),
      member("not-base64", "signature", "*AAA", "base64"),
      member("statement-not-base64", "driverext", "AAA", "base64"),
      {"should-fail-signature-base64-with-a-line-end", Stage::signature_partition, "image-malformed",
       [] { return edited_member("signature", [](const auto& good) { return good + "\n"; }); }, "base64"},
      {"should-fail-signature-base64-without-padding", Stage::signature_partition, "image-malformed",
       [] { return edited_member("signature", [](const auto& good) { return good + "A"; }); }, "base64"},
      {"should-fail-signature-base64-in-another-spelling", Stage::signature_partition, "image-malformed",
       [] { return edited_member("driverext", [](const auto&) { return "AR=="; }); }, "base64"},
  };
}

}  // namespace driverext::test
