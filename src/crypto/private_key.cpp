// OpenSSL 3.0 reaches tokens by engines; only later distributions have a provider for them. Engines are deprecated in
// its headers all the same.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/private_key.hpp"

#include <fcntl.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/store.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/text.hpp"
#include "sys/dir.hpp"

namespace driverext {
namespace {

constexpr std::string_view kEngineScheme = "org.openssl.engine:";  // as openssl(1) spells it
constexpr std::string_view kPkcs11Scheme = "pkcs11:";
constexpr std::string_view kPinAttribute = "pin-value=";

}  // namespace

bool is_key_uri(std::string_view location) {
  const size_t colon = location.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789+.-");
  return colon != std::string_view::npos && colon > 0 && location[colon] == ':' && location.front() >= 'a';
}

std::string without_pin(std::string_view location) {
  std::string text(location);
  for (size_t at = text.find(kPinAttribute); at != std::string::npos; at = text.find(kPinAttribute, at)) {
    at += kPinAttribute.size();
    const size_t end = std::min(text.find_first_of(";&?", at), text.size());
    text.replace(at, end - at, "…");
  }
  return text;
}

}  // namespace driverext

namespace driverext::openssl {
namespace {

constexpr size_t kMaxPem = size_t{1} << 20;

using Loader = std::unique_ptr<OSSL_STORE_LOADER, Deleter<OSSL_STORE_LOADER_free>>;
using StoreInfo = std::unique_ptr<OSSL_STORE_INFO, Deleter<OSSL_STORE_INFO_free>>;
using OpenStore = std::unique_ptr<OSSL_STORE_CTX, Deleter<OSSL_STORE_close>>;

// Asks, or gives the answer again that opened the key: some tokens want their PIN for each signature.
Result<std::string> secret_of(SecretDialog& dialog) {
  if (dialog.answer && dialog.opened) return *dialog.answer;
  // A wrong PIN given twice is a step closer to a token that locks itself.
  if (dialog.answer) return make_error(Errc::invalid_input, "wrong passphrase or PIN");
  if (!dialog.ask) return make_error(Errc::invalid_input, "the key wants a passphrase or PIN");
  TRY(dialog.answer, dialog.ask(dialog.prompt));
  return *dialog.answer;
}

// A pem_password_cb: puts the secret into `buffer` and returns its length, or -1.
int on_secret_wanted(char* buffer, int size, int /*for_writing*/, void* data) {
  auto& dialog = *static_cast<SecretDialog*>(data);
  if (dialog.failure) return -1;  // OpenSSL tries an older decoder then, which asks too
  const Result<std::string> secret = secret_of(dialog);
  if (!secret) {
    dialog.failure = secret.error();
    return -1;
  }
  if (secret->size() > static_cast<size_t>(size)) {
    dialog.failure = make_error(Errc::invalid_input, "the passphrase or PIN is too long");
    return -1;
  }
  std::copy(secret->begin(), secret->end(), buffer);
  return static_cast<int>(secret->size());
}

PrivateKey begin(const decltype(KeySource::secret)& secret, std::string prompt) {
  PrivateKey opened;
  opened.dialog = std::make_unique<SecretDialog>(SecretDialog{secret, std::move(prompt), {}, false, {}});
  return opened;
}

// The key if there is one, else the error that says why not. `name` is shown.
Result<PrivateKey> finish(PrivateKey opened, const std::string& name) {
  if (opened.key) {
    ERR_clear_error();
    opened.dialog->opened = true;
    return opened;
  }
  std::string why = last_error();
  Error error = opened.dialog->failure.value_or(
      make_error(Errc::invalid_input, (opened.dialog->answer ? "wrong passphrase or PIN, or " : "") + std::move(why)));
  error.context.push_back("cannot open the key " + name);
  return error;
}

Result<PrivateKey> parse(std::string_view pem, PrivateKey opened, const std::string& name) {
  const Bio text = reader(as_bytes(pem));
  opened.key.reset(PEM_read_bio_PrivateKey(text.get(), nullptr, on_secret_wanted, opened.dialog.get()));
  return finish(std::move(opened), name + " (PEM)");
}

Result<void> add_ui(PrivateKey& opened) {
  opened.ui.reset(UI_UTIL_wrap_read_pem_callback(on_secret_wanted, 0));
  if (opened.ui) return {};
  return make_error(Errc::system, "cannot open a key: " + last_error());
}

Result<PrivateKey> open_in_store(const std::string& uri, PrivateKey opened) {
  TRY_VOID(add_ui(opened));
  const OpenStore store(OSSL_STORE_open(uri.c_str(), opened.ui.get(), opened.dialog.get(), nullptr, nullptr));
  if (store) OSSL_STORE_expect(store.get(), OSSL_STORE_INFO_PKEY);
  while (store && !opened.key && OSSL_STORE_eof(store.get()) == 0) {
    const StoreInfo info(OSSL_STORE_load(store.get()));
    if (!info) break;
    if (OSSL_STORE_INFO_get_type(info.get()) == OSSL_STORE_INFO_PKEY) {
      opened.key.reset(OSSL_STORE_INFO_get1_PKEY(info.get()));
    }
  }
  return finish(std::move(opened), without_pin(uri));
}

Result<PrivateKey> open_in_engine(const std::string& name, const std::string& id, PrivateKey opened) {
  TRY_VOID(check_name("engine", name));
  TRY_VOID(add_ui(opened));
  ENGINE_load_dynamic();
  const std::unique_ptr<ENGINE, Deleter<ENGINE_free>> engine(ENGINE_by_id(name.c_str()));
  if (!engine) {
    return make_error(Errc::unsupported, "OpenSSL has no engine \"" + name + "\" here (" + last_error() +
                                             "); for pkcs11: install libengine-pkcs11-openssl");
  }
  // Engines write to standard error, URI and PIN included; one that knows no such command is not asked again.
  ENGINE_ctrl_cmd_string(engine.get(), "QUIET", nullptr, 1);
  if (ENGINE_init(engine.get()) != 1) {
    return make_error(Errc::invalid_input, "OpenSSL's engine \"" + name + "\" does not start: " + last_error());
  }
  opened.engine.reset(engine.get());  // from here on a functional reference, which free_engine gives back
  ERR_clear_error();
  opened.key.reset(ENGINE_load_private_key(engine.get(), id.c_str(), opened.ui.get(), opened.dialog.get()));
  return finish(std::move(opened), without_pin(id));
}

}  // namespace

void free_engine(ENGINE* engine) { ENGINE_finish(engine); }

Result<PrivateKey> read_private_key(std::string_view pem, const decltype(KeySource::secret)& secret) {
  return parse(pem, begin(secret, "Passphrase of the key"), "for signing");
}

Result<PrivateKey> open_private_key(const KeySource& source) {
  const std::string& location = source.location;
  if (!is_key_uri(location)) {
    const UniqueFd file(::open(location.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return os_failure(errno, "cannot open the key " + location);
    TRY(const std::string pem, read_fd(file.get(), kMaxPem, location));
    return parse(pem, begin(source.secret, "Passphrase of " + location), location);
  }
  PrivateKey opened = begin(source.secret, "PIN for " + without_pin(location));
  if (location.starts_with(kEngineScheme)) {
    const std::string rest = location.substr(kEngineScheme.size());
    const size_t colon = rest.find(':');
    if (colon == std::string::npos) {
      return make_error(Errc::invalid_input, "an engine's key is named " + std::string(kEngineScheme) + "ENGINE:KEY");
    }
    return open_in_engine(rest.substr(0, colon), rest.substr(colon + 1), std::move(opened));
  }
  const std::string scheme = location.substr(0, location.find(':'));
  const Loader loader(OSSL_STORE_LOADER_fetch(nullptr, scheme.c_str(), nullptr));
  ERR_clear_error();
  if (loader) return open_in_store(location, std::move(opened));
  if (location.starts_with(kPkcs11Scheme)) return open_in_engine("pkcs11", location, std::move(opened));
  return make_error(Errc::unsupported,
                    "OpenSSL has no provider for " + scheme + ": keys here (a file of that name is written ./NAME)");
}

}  // namespace driverext::openssl
