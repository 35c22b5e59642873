// Result<T>: the value of a function that can fail, or the Error.
#pragma once

#include <tl/expected.hpp>
#include <utility>

#include "base/error.hpp"

namespace driverext {

/// tl::expected with [[nodiscard]] on the type and context on the error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}                    // NOLINT(google-explicit-constructor)
  Result(Error error) : value_(tl::unexpect, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return value_.has_value(); }
  [[nodiscard]] T& operator*() & { return *value_; }
  [[nodiscard]] const T& operator*() const& { return *value_; }
  [[nodiscard]] T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  [[nodiscard]] Error& error() & { return value_.error(); }
  [[nodiscard]] const Error& error() const& { return value_.error(); }
  [[nodiscard]] Error&& error() && { return std::move(value_).error(); }

  /// Says what was being done when the error happened.
  Result with_context(std::string text) && {
    if (!value_) value_.error().context.push_back(std::move(text));
    return std::move(*this);
  }

 private:
  tl::expected<T, Error> value_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : value_(tl::unexpect, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return value_.has_value(); }
  [[nodiscard]] Error& error() & { return value_.error(); }
  [[nodiscard]] const Error& error() const& { return value_.error(); }
  [[nodiscard]] Error&& error() && { return std::move(value_).error(); }

  Result with_context(std::string text) && {
    if (!value_) value_.error().context.push_back(std::move(text));
    return std::move(*this);
  }

 private:
  tl::expected<void, Error> value_;
};

}  // namespace driverext

#define DRIVEREXT_JOIN_(a, b) a##b
#define DRIVEREXT_JOIN(a, b) DRIVEREXT_JOIN_(a, b)

/// `TRY(auto x, f());` declares x from f()'s value, or returns f()'s error from this function.
#define TRY(declaration, ...) TRY_IMPL_(DRIVEREXT_JOIN(try_result_, __LINE__), declaration, __VA_ARGS__)
#define TRY_IMPL_(name, declaration, ...)      \
  auto name = (__VA_ARGS__);                   \
  if (!(name)) return std::move(name).error(); \
  declaration = *std::move(name)

/// `TRY_VOID(f());` returns f()'s error from this function, if there is one.
#define TRY_VOID(...)                                                                       \
  do {                                                                                      \
    if (auto try_result = (__VA_ARGS__); !try_result) return std::move(try_result).error(); \
  } while (false)
