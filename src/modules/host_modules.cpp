#include "modules/host_modules.hpp"

#include <algorithm>

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
    std::vector<HostModule> order;
    kmod_list* entry = nullptr;
    kmod_list_foreach(entry, found.get()) {  // several, if the name is an alias
      const kmod::Module module(kmod_module_get_module(entry));
      add_with_needs(module.get(), order);
    }
    return order;
  }

 private:
  static void add_with_needs(const kmod_module* module, std::vector<HostModule>& order) {
    const kmod::ModuleList needs(kmod_module_get_dependencies(module));
    kmod_list* entry = nullptr;
    kmod_list_foreach(entry, needs.get()) {
      const kmod::Module need(kmod_module_get_module(entry));
      add(need.get(), order);
    }
    add(module, order);
  }

  static void add(const kmod_module* module, std::vector<HostModule>& order) {
    const char* path = kmod_module_get_path(module);
    if (path == nullptr) return;  // built into the kernel
    const std::string name = module_name_form(kmod_module_get_name(module));
    const bool is_there =
        std::any_of(order.begin(), order.end(), [&](const HostModule& other) { return other.name == name; });
    if (!is_there) order.push_back({name, path});
  }

  std::string folder_;
  kmod::Context context_;
};

}  // namespace

std::unique_ptr<HostModules> open_host_modules(const std::string& folder) {
  return std::make_unique<KmodHostModules>(folder);
}

}  // namespace driverext
