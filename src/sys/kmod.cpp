#include "sys/kmod.hpp"

#include <cerrno>
#include <cstdarg>

namespace driverext::kmod {
namespace {

// libkmod prints to stderr unless it is given a function of its own.
void discard_log(void* /*data*/, int /*priority*/, const char* /*file*/, int /*line*/, const char* /*function*/,
                 const char* /*format*/, va_list /*arguments*/) {}

}  // namespace

Result<Context> open(const char* folder) {
  static const char* const kNoConfiguration = nullptr;
  Context context(kmod_new(folder, &kNoConfiguration));
  if (!context) return os_failure(ENOMEM, "cannot start libkmod");
  kmod_set_log_fn(context.get(), discard_log, nullptr);
  return context;
}

Result<Module> module_of_file(const Context& context, const std::string& path) {
  kmod_module* module = nullptr;
  if (const int code = kmod_module_new_from_path(context.get(), path.c_str(), &module); code != 0) {
    return os_failure(-code, "cannot open module " + path);
  }
  return Module(module);
}

}  // namespace driverext::kmod
