// check: what shows that the driver works: modules that are live, nodes that open, one version of modules and user
// part, and the driver's own program inside the driver root.
//
// It only looks, so all of it is the probe: there is nothing to apply and nothing to undo.
#include <algorithm>
#include <optional>

#include "driver/device_nodes.hpp"
#include "driver/module_plan.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

Error failed(const std::string& what) { return make_error(Errc::incompatible, Reason::check_failed, what); }

class CheckStep final : public Step {
 public:
  explicit CheckStep(const StepContext& context) : context_(context) {}

  Result<Probe> probe() override {
    for (const BuiltinCheck check : context_.definition.check.builtin) TRY_VOID(run_builtin(check));
    const bool has_root = context_.userland != nullptr && context_.definition.root;
    if (has_root && !context_.definition.check.command.empty()) TRY_VOID(run_command());
    return Probe::satisfied;
  }
  Result<void> apply() override { return {}; }
  Result<void> undo() override { return {}; }
  [[nodiscard]] std::string remark() const override { return remark_; }

 private:
  Result<void> run_builtin(BuiltinCheck check) {
    switch (check) {
      case BuiltinCheck::modules:
        return modules_are_live();
      case BuiltinCheck::nodes:
        return nodes_open();
      case BuiltinCheck::versions:
        return versions_are_equal();
    }
    return {};
  }

  Result<void> modules_are_live() {
    for (const ModuleIdentity& module : context_.image->identity().modules) {
      TRY(const auto loaded, context_.kernel.find_module(module.name));
      if (!must_be_loaded(context_.definition, module.name)) continue;
      if (!loaded) return failed("module " + module.name + " is gone again");
      if (loaded->state != "live") return failed("module " + module.name + " is " + loaded->state + ", not live");
    }
    return {};
  }

  Result<void> nodes_open() {
    TRY(const std::vector<ReportedNode> nodes, read_reported_nodes(context_.root, context_.definition));
    // One device of several that is broken is no reason to take the driver from the others.
    std::optional<Error> broken;
    bool some_device_answers = false;
    for (const ReportedNode& node : nodes) {
      if (!node.in_containers) continue;  // for administrators: what opening one does is their matter
      Result<void> opened = context_.kernel.open_node(context_.root.path_of(node.path));
      const bool is_one_of_several = !node.names.empty();
      some_device_answers = some_device_answers || (opened && is_one_of_several);
      if (opened) continue;
      opened.error().reason = Reason::check_failed;
      if (!is_one_of_several) return opened;
      remark_ += (remark_.empty() ? "" : "; ") + opened.error().message();
      broken = std::move(opened).error();
    }
    if (broken && !some_device_answers) return *std::move(broken);
    return {};
  }

  // Versions that differ show later as NVML's "Driver/library version mismatch", in somebody's container.
  Result<void> versions_are_equal() {
    for (const ModuleIdentity& module : context_.image->identity().modules) {
      if (module.version.empty()) continue;
      TRY(const auto loaded, context_.kernel.find_module(module.name));
      const std::string found = loaded ? loaded->version : std::string();
      if (!found.empty() && found != module.version) {
        return failed("module " + module.name + " that is loaded says version " + found + ", the image " +
                      module.version);
      }
      // Modules that the definition does not name may be somebody else's, with versions of their own.
      if (is_defined(module) && context_.userland != nullptr &&
          module.version != context_.userland->identity().version) {
        return failed("module " + module.name + " is of version " + module.version + ", the user part of " +
                      context_.userland->identity().version);
      }
    }
    return {};
  }

  [[nodiscard]] bool is_defined(const ModuleIdentity& module) const {
    const auto& defined = context_.definition.modules;
    return std::any_of(defined.begin(), defined.end(),
                       [&](const DefinedModule& each) { return each.name == module.name; });
  }

  Result<void> run_command() {
    const Definition& definition = context_.definition;
    const unsigned limit = context_.seconds_for(definition.check.timeout_sec);
    Result<std::string> checked = context_.programs.run(
        {.argv = definition.check.command,
         .added_environment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
         .root = context_.root.path_of(definition.root->path),
         .timeout_sec = limit,
         .cancel_fd = context_.cancel_fd});
    if (checked) return {};
    // Stopped: nothing was found out about the driver.
    if (is_readable(context_.cancel_fd)) return std::move(checked).error();
    // A check that had less time than its own says nothing of the driver if that was not enough.
    const bool ran_out_of_time = checked.error().code == Errc::transient && limit < definition.check.timeout_sec;
    checked.error().reason = ran_out_of_time ? Reason::budget_exceeded : Reason::check_failed;
    return std::move(checked).error();
  }

  const StepContext& context_;
  std::string remark_;
};

}  // namespace

std::unique_ptr<Step> make_check_step(const StepContext& context) { return std::make_unique<CheckStep>(context); }

}  // namespace driverext
