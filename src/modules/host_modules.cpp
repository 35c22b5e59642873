#include "modules/host_modules.hpp"

#include <libkmod.h>

#include <cerrno>
#include <cstdarg>

#include "base/text.hpp"

namespace driverext {
namespace {

struct UnrefContext {
  void operator()(kmod_ctx* context) const { kmod_unref(context); }
};
struct UnrefModule {
  void operator()(kmod_module* module) const { kmod_module_unref(module); }
};
struct UnrefList {
  void operator()(kmod_list* list) const { kmod_module_unref_list(list); }
};

void discard_log(void* /*data*/, int /*priority*/, const char* /*file*/, int /*line*/, const char* /*function*/,
                 const char* /*format*/, va_list /*arguments*/) {}

class KmodHostModules final : public HostModules {
 public:
  explicit KmodHostModules(std::string folder) : folder_(std::move(folder)) {}

  Result<std::vector<HostModule>> load_order(const std::string& name) override {
    if (!context_) {
      static const char* const kNoConfiguration = nullptr;
      context_.reset(kmod_new(folder_.c_str(), &kNoConfiguration));
      if (!context_) return os_failure(ENOMEM, "cannot start libkmod");
      kmod_set_log_fn(context_.get(), discard_log, nullptr);
      kmod_load_resources(context_.get());
    }
    kmod_list* raw = nullptr;
    const int code = kmod_module_new_from_lookup(context_.get(), name.c_str(), &raw);
    const std::unique_ptr<kmod_list, UnrefList> found(raw);
    if (code < 0 || !found) {
      return make_error(Errc::not_found, Reason::dependency_missing,
                        "the host has no module " + name + " in " + folder_);
    }
    const std::unique_ptr<kmod_module, UnrefModule> module(kmod_module_get_module(found.get()));
    std::vector<HostModule> order;
    const std::unique_ptr<kmod_list, UnrefList> needs(kmod_module_get_dependencies(module.get()));
    kmod_list* entry = nullptr;
    kmod_list_foreach(entry, needs.get()) {
      const std::unique_ptr<kmod_module, UnrefModule> need(kmod_module_get_module(entry));
      add(need.get(), order);
    }
    add(module.get(), order);
    return order;
  }

 private:
  static void add(const kmod_module* module, std::vector<HostModule>& order) {
    const char* path = kmod_module_get_path(module);
    if (path == nullptr) return;  // built into the kernel
    order.push_back({module_name_form(kmod_module_get_name(module)), path});
  }

  std::string folder_;
  std::unique_ptr<kmod_ctx, UnrefContext> context_;
};

}  // namespace

std::unique_ptr<HostModules> open_host_modules(const std::string& folder) {
  return std::make_unique<KmodHostModules>(folder);
}

}  // namespace driverext
