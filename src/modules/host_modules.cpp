#include "modules/host_modules.hpp"

#include <functional>
#include <set>

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
    Order order;
    // Several, if the name is an alias.
    for_each(found.get(), [&](const kmod_module* module) { order.note_needs(module); });
    for_each(found.get(), [&](const kmod_module* module) { order.add_with_needs(module); });
    return std::move(order.modules);
  }

 private:
  static void for_each(kmod_list* list, const std::function<void(const kmod_module*)>& act) {
    kmod_list* entry = nullptr;
    kmod_list_foreach(entry, list) {
      const kmod::Module module(kmod_module_get_module(entry));
      act(module.get());
    }
  }

  static std::string name_of(const kmod_module* module) { return module_name_form(kmod_module_get_name(module)); }

  struct Order {
    // Those that must be loaded.
    void note_needs(const kmod_module* module) {
      needed.insert(name_of(module));
      const kmod::ModuleList needs(kmod_module_get_dependencies(module));
      for_each(needs.get(), [&](const kmod_module* need) { needed.insert(name_of(need)); });
    }

    void add_with_needs(const kmod_module* module) {
      // Soft ones may go in a circle.
      if (!seen.insert(name_of(module)).second) return;
      kmod_list* pre = nullptr;
      kmod_list* post = nullptr;
      (void)kmod_module_get_softdeps(module, &pre, &post);
      const kmod::ModuleList before(pre);
      const kmod::ModuleList behind(post);
      const kmod::ModuleList needs(kmod_module_get_dependencies(module));
      for (kmod_list* list : {before.get(), needs.get()}) {
        for_each(list, [&](const kmod_module* other) { add_with_needs(other); });
      }
      // Others are built into the kernel, or a soft dependency that is not there.
      if (const char* path = kmod_module_get_path(module); path != nullptr) {
        modules.push_back({name_of(module), path, !needed.contains(name_of(module))});
      }
      for_each(behind.get(), [&](const kmod_module* other) { add_with_needs(other); });
    }

    std::vector<HostModule> modules;
    std::set<std::string> needed;
    std::set<std::string> seen;
  };

  std::string folder_;
  kmod::Context context_;
};

}  // namespace

std::unique_ptr<HostModules> open_host_modules(const std::string& folder) {
  return std::make_unique<KmodHostModules>(folder);
}

}  // namespace driverext
