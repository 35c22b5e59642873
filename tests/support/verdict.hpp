// Results as short texts, so that a failed comparison reads by itself: "untrusted/data-corrupt".
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "base/result.hpp"

namespace driverext::test {

/// A test has come to this outcome: ./dev test holds that every reason code is come to by some test.
void reached(Reason reason);

std::string verdict(const Error& error);

template <class T>
std::string verdict(const Result<T>& result) {
  return result ? "fine" : verdict(result.error());
}

template <class T>
std::string message(const Result<T>& result) {
  return result ? "fine" : result.error().message();
}

/// The value, or a failed test that shows the error: GoogleTest reports what is thrown.
template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace driverext::test
