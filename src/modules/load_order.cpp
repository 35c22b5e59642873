#include "modules/load_order.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

namespace driverext {

Result<LoadOrder> order_modules(const std::vector<ModuleNode>& modules) {
  enum class Mark { untouched, open, done };
  struct Entry {
    const ModuleNode* node;
    Mark mark = Mark::untouched;
  };
  std::map<std::string, Entry> entries;
  for (const ModuleNode& module : modules) {
    if (!entries.emplace(module.name, Entry{&module}).second) {
      return make_error(Errc::invalid_input, "module " + module.name + " is there twice");
    }
  }

  // Whether a module needs, or would rather come behind, one that is waited for here.
  const auto leads_back = [&](const Entry& from) {
    std::set<const Entry*> seen;
    std::vector<const Entry*> open = {&from};
    while (!open.empty()) {
      const Entry& entry = *open.back();
      open.pop_back();
      if (entry.mark == Mark::open) return true;
      if (entry.mark == Mark::done || !seen.insert(&entry).second) continue;
      for (const std::vector<std::string>* names : {&entry.node->depends, &entry.node->after}) {
        for (const std::string& name : *names) {
          const auto own = entries.find(name);
          if (own != entries.end() && &own->second != &entry) open.push_back(&own->second);
        }
      }
    }
    return false;
  };

  LoadOrder order;
  std::vector<std::string> path;
  // Depth is bounded: a module that is open is never entered again.
  const std::function<Result<void>(Entry&)> visit = [&](Entry& entry) -> Result<void> {
    if (entry.mark == Mark::done) return {};
    path.push_back(entry.node->name);
    if (entry.mark == Mark::open) {
      std::string circle;
      for (const std::string& name : path) circle += (circle.empty() ? "" : " → ") + name;
      return make_error(Errc::invalid_input, "modules depend on each other in a circle: " + circle);
    }
    entry.mark = Mark::open;
    for (const std::string& name : entry.node->after) {
      const auto own = entries.find(name);
      if (own != entries.end() && !leads_back(own->second)) TRY_VOID(visit(own->second));
    }
    for (const std::string& name : entry.node->depends) {
      const auto own = entries.find(name);
      if (own != entries.end()) {
        TRY_VOID(visit(own->second));
      } else if (std::find(order.external.begin(), order.external.end(), name) == order.external.end()) {
        order.external.push_back(name);
      }
    }
    entry.mark = Mark::done;
    path.pop_back();
    order.own.push_back(entry.node->name);
    return {};
  };
  for (const ModuleNode& module : modules) TRY_VOID(visit(entries.at(module.name)));
  return order;
}

}  // namespace driverext
