// Libraries that are loaded when they are needed: hosts may lack them, and verbs that do without them start sooner.
#pragma once

#include <string>

#include "base/result.hpp"

namespace driverext {

/// A loaded library; it stays loaded until the program ends.
class SharedLibrary {
 public:
  /// `file`: with the number of its binary interface, such as libcurl.so.4. Errors: Errc::unsupported, with the
  /// linker's words.
  static Result<SharedLibrary> load(const std::string& file);

  /// False, and `into` null, where the library has no such function.
  template <class Function>
  bool find(const char* name, Function& into) const {
    into = reinterpret_cast<Function>(symbol(name));
    return into != nullptr;
  }

 private:
  explicit SharedLibrary(void* handle) : handle_(handle) {}
  [[nodiscard]] void* symbol(const char* name) const;

  void* handle_;
};

}  // namespace driverext
