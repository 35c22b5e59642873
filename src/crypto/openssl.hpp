// Owners for OpenSSL objects. Included by the source files of this folder only.
#pragma once

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.hpp"

namespace driverext::openssl {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

inline void free_x509_stack(STACK_OF(X509) * stack) { sk_X509_free(stack); }

inline void free_owned_x509_stack(STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); }

using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Cms = std::unique_ptr<CMS_ContentInfo, Deleter<CMS_ContentInfo_free>>;
using Crl = std::unique_ptr<X509_CRL, Deleter<X509_CRL_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Pkcs7 = std::unique_ptr<PKCS7, Deleter<PKCS7_free>>;
using Store = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;
using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
/// Owns the stack, not the certificates in it.
using X509Stack = std::unique_ptr<STACK_OF(X509), Deleter<free_x509_stack>>;
/// Owns both.
using OwnedX509Stack = std::unique_ptr<STACK_OF(X509), Deleter<free_owned_x509_stack>>;

/// Takes the oldest error off OpenSSL's queue and empties it.
std::string last_error();
/// A read-only BIO over bytes that outlive it.
Bio reader(ByteSpan bytes);
Bytes take_bytes(BIO* memory);
/// SHA-256 of the DER certificate, hex.
std::string fingerprint(X509* certificate);
/// RFC 2253 text.
std::string name_text(const X509_NAME* name);
/// Since 1970; 0 if it cannot be read.
int64_t seconds_of(const ASN1_TIME* time);

}  // namespace driverext::openssl
