#include "crypto/signed_content.hpp"

#include <openssl/objects.h>

#include <algorithm>

#include "crypto/openssl.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxCms = size_t{4} << 20;

ByteSpan bytes_of(const ASN1_STRING* string) {
  return as_bytes(std::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                                   static_cast<size_t>(ASN1_STRING_length(string))));
}

openssl::Cms parse_cms(ByteSpan bytes) {
  if (bytes.size() > kMaxCms) return {};
  const openssl::Bio in = openssl::reader(bytes);
  return openssl::Cms(d2i_CMS_bio(in.get(), nullptr));
}

std::string with_colons(ByteSpan bytes) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text;
  for (const std::byte byte : bytes) {
    if (!text.empty()) text += ':';
    text += kDigits[std::to_integer<size_t>(byte) >> 4];
    text += kDigits[std::to_integer<size_t>(byte) & 15];
  }
  return text;
}

std::string common_name_of(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return {};
  unsigned char* text = nullptr;
  const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) return {};
  std::string common_name(reinterpret_cast<char*>(text), static_cast<size_t>(size));
  OPENSSL_free(text);
  return common_name;
}

std::string digest_name(CMS_SignerInfo* info) {
  X509_ALGOR* digest = nullptr;
  CMS_SignerInfo_get0_algs(info, nullptr, nullptr, &digest, nullptr);
  const ASN1_OBJECT* algorithm = nullptr;
  X509_ALGOR_get0(&algorithm, nullptr, nullptr, digest);
  const int nid = OBJ_obj2nid(algorithm);
  if (nid == NID_undef) return "unknown";
  std::string name = OBJ_nid2sn(nid);
  for (char& letter : name) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return name;
}

}  // namespace

Result<Bytes> unverified_content(ByteSpan cms_bytes) {
  const openssl::Cms cms = parse_cms(cms_bytes);
  ASN1_OCTET_STRING** content = cms ? CMS_get0_content(cms.get()) : nullptr;
  if (content == nullptr || *content == nullptr) {
    return make_error(Errc::untrusted, Reason::signature_invalid,
                      "the signed statement is not CMS with content: " + openssl::last_error());
  }
  const ByteSpan view = bytes_of(*content);
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
                     openssl::fingerprint(certificate), openssl::seconds_of(X509_get0_notBefore(certificate)),
                     openssl::seconds_of(X509_get0_notAfter(certificate))});
  }
  return infos;
}

Result<UnverifiedSigner> unverified_signer(ByteSpan cms_bytes) {
  const openssl::Cms cms = parse_cms(cms_bytes);
  STACK_OF(CMS_SignerInfo)* infos = cms ? CMS_get0_SignerInfos(cms.get()) : nullptr;
  if (infos == nullptr || sk_CMS_SignerInfo_num(infos) != 1) {
    const std::string why = cms ? "it has not exactly one signer" : openssl::last_error();
    return make_error(Errc::untrusted, Reason::signature_invalid, "the signature is not PKCS#7 as expected: " + why);
  }
  CMS_SignerInfo* info = sk_CMS_SignerInfo_value(infos, 0);
  ASN1_OCTET_STRING* key_identifier = nullptr;
  X509_NAME* issuer = nullptr;
  ASN1_INTEGER* serial = nullptr;
  CMS_SignerInfo_get0_signer_id(info, &key_identifier, &issuer, &serial);
  UnverifiedSigner signer;
  if (issuer != nullptr) signer.issuer = common_name_of(issuer);
  if (serial != nullptr) signer.key_id = with_colons(bytes_of(serial));
  if (key_identifier != nullptr) signer.key_id = with_colons(bytes_of(key_identifier));
  signer.digest = digest_name(info);
  signer.attribute_count = static_cast<size_t>(std::max(CMS_signed_get_attr_count(info), 0));
  ASN1_OCTET_STRING** content = CMS_get0_content(cms.get());
  signer.holds_content = content != nullptr && *content != nullptr;
  return signer;
}

}  // namespace driverext
