#include "crypto/signed_content.hpp"

#include <algorithm>
#include <ctime>

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

namespace {

// A CMS of 4 MiB could hold thousands.
constexpr int kMaxCertificates = 16;

std::string name_text(const X509_NAME* name) {
  const openssl::Bio memory(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(memory.get(), name, 0, XN_FLAG_RFC2253);
  return std::string(as_text(openssl::take_bytes(memory.get())));
}

int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<int64_t>(::timegm(&parts)) : 0;
}

struct FreeCertificates {
  void operator()(STACK_OF(X509) * list) const { sk_X509_pop_free(list, X509_free); }
};

}  // namespace

Result<std::vector<CertificateInfo>> unverified_certificates(ByteSpan cms_bytes) {
  const openssl::Bio in = openssl::reader(cms_bytes);
  const openssl::Cms cms(d2i_CMS_bio(in.get(), nullptr));
  if (!cms) {
    return make_error(Errc::untrusted, Reason::signature_invalid, "the signature is not CMS: " + openssl::last_error());
  }
  const std::unique_ptr<STACK_OF(X509), FreeCertificates> list(CMS_get1_certs(cms.get()));
  std::vector<CertificateInfo> infos;
  const int count = list ? std::min(sk_X509_num(list.get()), kMaxCertificates) : 0;
  for (int i = 0; i < count; ++i) {
    X509* certificate = sk_X509_value(list.get(), i);
    infos.push_back({name_text(X509_get_subject_name(certificate)), name_text(X509_get_issuer_name(certificate)),
                     openssl::fingerprint(certificate), seconds_of(X509_get0_notBefore(certificate)),
                     seconds_of(X509_get0_notAfter(certificate))});
  }
  return infos;
}

}  // namespace driverext
