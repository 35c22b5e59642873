#include "modules/host_modules.hpp"

#include "base/text.hpp"
#include "sys/kmod.hpp"

namespace driverext {
namespace {

class KmodHostModules final : public HostModules {
 public:
  explicit KmodHostModules(std::string folder) : folder_(std::move(folder)) {}

  Result<std::vector<HostModule>> load_order(const std::string& name) override {
    if (!context_) {
      TRY(context_, kmod::open(folder_.c_str()));
      kmod_load_resources(context_.get());
    }
    kmod_list* raw = nullptr;
    const int code = kmod_module_new_from_lookup(context_.get(), name.c_str(), &raw);
    const kmod::ModuleList found(raw);
    if (code < 0 || !found) {
      return make_error(Errc::not_found, Reason::dependency_missing,
                        "the host has no module " + name + " in " + folder_);
    }
    const kmod::Module module(kmod_module_get_module(found.get()));
    std::vector<HostModule> order;
    const kmod::ModuleList needs(kmod_module_get_dependencies(module.get()));
    kmod_list* entry = nullptr;
    kmod_list_foreach(entry, needs.get()) {
      const kmod::Module need(kmod_module_get_module(entry));
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
  kmod::Context context_;
};

}  // namespace

std::unique_ptr<HostModules> open_host_modules(const std::string& folder) {
  return std::make_unique<KmodHostModules>(folder);
}

}  // namespace driverext
