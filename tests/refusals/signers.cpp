#include "refusals/signers.hpp"

#include <memory>

#include "base/json.hpp"

namespace driverext::test {
namespace {

std::string statement_text(uint64_t created) {
  Manifest manifest = sample_manifest();
  manifest.created = created;
  return statement_about(sample_bytes(), format_manifest(manifest));
}

}  // namespace

const Identity& kept(const IdentityRequest& request) {
  static std::vector<std::unique_ptr<Identity>> identities;
  return *identities.emplace_back(std::make_unique<Identity>(make_identity(request)));
}

std::string signed_by(const Identity& signer, uint64_t created) {
  return with_statement(sample_bytes(), statement_text(created), signer);
}

std::string signed_with(const CmsRequest& request) {
  CmsRequest detached = request;
  detached.content = Content::detached;
  return with_signature_edit(sample_bytes(), [&](OrderedJson& object) {
    object["driverext"] = to_base64(make_cms(statement_text(sample_manifest().created), request));
    object["signature"] = to_base64(make_cms(object["rootHash"].get<std::string>(), detached));
    object["certificateFingerprint"] = request.signers.front()->signing_key().fingerprint();
  });
}

}  // namespace driverext::test
