#include "crypto/signed_content.hpp"

#include "crypto/openssl.hpp"

namespace driverext {

Result<Bytes> unverified_content(ByteSpan cms_bytes) {
  const openssl::Bio in = openssl::reader(cms_bytes);
  const openssl::Cms cms(d2i_CMS_bio(in.get(), nullptr));
  ASN1_OCTET_STRING** content = cms ? CMS_get0_content(cms.get()) : nullptr;
  if (content == nullptr || *content == nullptr) {
    return make_error(Errc::untrusted, Reason::signature_invalid,
                      "the signed statement is not CMS with content: " + openssl::last_error());
  }
  const auto view = as_bytes(std::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(*content)),
                                              static_cast<size_t>(ASN1_STRING_length(*content))));
  return Bytes(view.begin(), view.end());
}

}  // namespace driverext
