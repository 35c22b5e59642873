#include "sys/shared_library.hpp"

#include <dlfcn.h>

namespace driverext {

Result<SharedLibrary> SharedLibrary::load(const std::string& file) {
  if (void* handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL); handle != nullptr) return SharedLibrary(handle);
  const char* why = ::dlerror();
  return make_error(Errc::unsupported, why != nullptr ? std::string(why) : file);
}

void* SharedLibrary::symbol(const char* name) const { return ::dlsym(handle_, name); }

}  // namespace driverext
