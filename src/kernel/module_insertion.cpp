#include "kernel/module_insertion.hpp"

#include <fcntl.h>
#include <libkmod.h>

#include <cerrno>
#include <memory>

namespace driverext {
namespace {

struct UnrefContext {
  void operator()(kmod_ctx* context) const { kmod_unref(context); }
};
struct UnrefModule {
  void operator()(kmod_module* module) const { kmod_module_unref(module); }
};
using Context = std::unique_ptr<kmod_ctx, UnrefContext>;
using Module = std::unique_ptr<kmod_module, UnrefModule>;

// libkmod prints to stderr unless it is given a function of its own; errors come back as numbers.
void discard_log(void* /*data*/, int /*priority*/, const char* /*file*/, int /*line*/, const char* /*function*/,
                 const char* /*format*/, va_list /*arguments*/) {}

Result<Context> new_context() {
  // A list without entries: modprobe.d is not asked, what is loaded and how is decided elsewhere.
  static const char* const kNoConfiguration = nullptr;
  Context context(kmod_new(nullptr, &kNoConfiguration));
  if (!context) return os_failure(ENOMEM, "cannot start libkmod");
  kmod_set_log_fn(context.get(), discard_log, nullptr);
  return context;
}

}  // namespace

Result<void> insert_module_file(const std::string& path, const std::string& parameters) {
  TRY(const Context context, new_context());
  kmod_module* raw = nullptr;
  if (const int code = kmod_module_new_from_path(context.get(), path.c_str(), &raw); code != 0) {
    return os_failure(-code, "cannot open module " + path);
  }
  const Module module(raw);
  if (const int code = kmod_module_insert_module(module.get(), 0, parameters.c_str()); code != 0) {
    return os_failure(-code, "the kernel refused module " + path);
  }
  return {};
}

Result<void> remove_module(const std::string& name) {
  TRY(const Context context, new_context());
  kmod_module* raw = nullptr;
  if (const int code = kmod_module_new_from_name(context.get(), name.c_str(), &raw); code != 0) {
    return os_failure(-code, "cannot name module " + name);
  }
  const Module module(raw);
  // O_NONBLOCK: a module in use is refused, not waited for.
  if (const int code = kmod_module_remove_module(module.get(), O_NONBLOCK); code != 0 && code != -ENOENT) {
    return os_failure(-code, "cannot unload module " + name);
  }
  return {};
}

}  // namespace driverext
