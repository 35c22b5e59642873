#include "base/error.hpp"

#include <cerrno>
#include <cstring>

#include "base/text.hpp"

namespace driverext {

std::string Error::message() const {
  std::string text;
  for (auto it = context.rbegin(); it != context.rend(); ++it) {
    text += *it;
    text += ": ";
  }
  text += what;
  if (os_error != 0) {
    text += ": ";
    text += std::strerror(os_error);
  }
  return printable(text);
}

Reason reason_of(const Error& error) {
  if (error.reason) return *error.reason;
  if (error.os_error == EPERM || error.os_error == EACCES) return Reason::not_permitted;
  return Reason::step_failed;
}

Error make_error(Errc code, std::string what, Where where) {
  Error error;
  error.code = code;
  error.what = std::move(what);
  error.where = where;
  return error;
}

Error make_error(Errc code, Reason reason, std::string what, Where where) {
  Error error = make_error(code, std::move(what), where);
  error.reason = reason;
  return error;
}

Error os_failure(int os_error, std::string what, Where where) {
  Error error = make_error(Errc::system, std::move(what), where);
  error.os_error = os_error;
  if (os_error == ENOENT) error.code = Errc::not_found;
  if (os_error == EAGAIN || os_error == EINTR || os_error == EBUSY) error.code = Errc::transient;
  return error;
}

}  // namespace driverext
