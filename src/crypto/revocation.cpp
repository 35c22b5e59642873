#include "crypto/revocation.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace driverext {
namespace {

constexpr std::string_view kPemBegin = "-----BEGIN X509 CRL-----";

Error unusable(std::string_view origin, const std::string& why) {
  ERR_clear_error();
  return make_error(Errc::invalid_input, Reason::config_invalid,
                    "revocation list " + std::string(origin) + " cannot be used: " + why);
}

// Its name; nullptr if there is none.
const char* unsupported_extension(const X509_CRL* list) {
  for (int i = 0; i < X509_CRL_get_ext_count(list); ++i) {
    X509_EXTENSION* extension = X509_CRL_get_ext(list, i);
    if (X509_EXTENSION_get_critical(extension) == 0) continue;
    const char* name = OBJ_nid2ln(OBJ_obj2nid(X509_EXTENSION_get_object(extension)));
    return name != nullptr ? name : "unknown";
  }
  return nullptr;
}

// An authority that changed its key keeps its name: lists say by which key they are signed.
bool is_by_other_key(X509_CRL* list, X509* issuer) {
  const std::unique_ptr<AUTHORITY_KEYID, openssl::Deleter<AUTHORITY_KEYID_free>> key_id(
      static_cast<AUTHORITY_KEYID*>(X509_CRL_get_ext_d2i(list, NID_authority_key_identifier, nullptr, nullptr)));
  return key_id && X509_check_akid(issuer, key_id.get()) != X509_V_OK;
}

bool lists(X509_CRL* list, X509* certificate) {
  X509_REVOKED* entry = nullptr;
  // 2: taken from the list again (removeFromCRL).
  return X509_CRL_get0_by_cert(list, &entry, certificate) == 1;
}

bool is_current(const X509_CRL* list, int64_t time) {
  const ASN1_TIME* next = X509_CRL_get0_nextUpdate(list);
  auto seconds = static_cast<time_t>(time);
  return next != nullptr && X509_cmp_time(next, &seconds) > 0;
}

}  // namespace

Result<void> RevocationLists::add(ByteSpan file, std::string_view origin) {
  ERR_clear_error();
  const openssl::Bio in = openssl::reader(file);
  std::vector<openssl::Crl> found;
  if (as_text(file).find(kPemBegin) != std::string_view::npos) {
    while (openssl::Crl list{PEM_read_bio_X509_CRL(in.get(), nullptr, nullptr, nullptr)}) {
      found.push_back(std::move(list));
    }
    const unsigned long code = ERR_peek_last_error();
    const bool ran_out = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
    if (!ran_out) return unusable(origin, openssl::last_error());
    ERR_clear_error();
  } else {
    openssl::Crl list(d2i_X509_CRL_bio(in.get(), nullptr));
    if (!list || BIO_pending(in.get()) != 0) return unusable(origin, "it is neither PEM nor DER of a list");
    found.push_back(std::move(list));
  }
  for (openssl::Crl& list : found) {
    if (const char* extension = unsupported_extension(list.get())) {
      return unusable(origin, "its critical extension \"" + std::string(extension) +
                                  "\" is not supported; use the issuer's complete list");
    }
    lists_.push_back(std::move(list));
  }
  return {};
}

RevocationLists::Answer RevocationLists::ask(X509* certificate, X509* issuer, int64_t time) const {
  bool covered = false;
  bool damaged = false;
  for (const openssl::Crl& list : lists_) {
    if (X509_NAME_cmp(X509_CRL_get_issuer(list.get()), X509_get_issuer_name(certificate)) != 0) continue;
    if (issuer != nullptr) {
      if (is_by_other_key(list.get(), issuer)) continue;
      if (X509_CRL_verify(list.get(), X509_get0_pubkey(issuer)) != 1) {
        damaged = true;
        continue;
      }
      covered = covered || is_current(list.get(), time);
    }
    if (lists(list.get(), certificate)) return Answer::listed;
  }
  ERR_clear_error();
  if (damaged) return Answer::damaged;
  return covered ? Answer::not_listed : Answer::uncovered;
}

}  // namespace driverext
