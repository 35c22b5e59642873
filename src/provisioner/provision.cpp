#include "provisioner/provision.hpp"

#include "provisioner/config.hpp"
#include "provisioner/definition.hpp"
#include "provisioner/inventory.hpp"

namespace driverext {
namespace {

// Everything that is looked at before anything is done.
struct Survey {
  Facts facts;
  Config config;
  Definition definition;
  Inventory inventory;
  Plan plan;
};

// Fills in what is known even if a later question fails, so that the status can still name it.
Result<Survey> survey(const Host& host, Status& status) {
  Survey found;
  TRY(found.facts, read_facts(host.root));
  status.kernel_release = found.facts.kernel_release;
  TRY(found.config, read_config(host.root));
  status.driver = found.config.driver;
  TRY(found.definition, read_definition(host.root, found.config.driver));
  TRY(const TrustStore anchors, TrustStore::load(host.root, kTrustFolders));
  TRY(found.inventory, take_inventory(host.root, anchors, host.now));
  for (const RejectedImage& rejected : found.inventory.rejected) {
    status.rejected.push_back({host.root.path_of(rejected.name),
                               std::string(reason_info(reason_of(rejected.error)).code), rejected.error.message(),
                               rejected.place == Place::quarantine});
  }
  found.plan = make_plan(found.facts, found.config, found.inventory);
  return found;
}

void conclude(Status& status, const Error& error) {
  status.reason = reason_of(error);
  status.message = error.message();
}

// Import has moved files, or could not: told of is where they are now.
void tell_where_files_are(const Dir& root, const Survey& found, Status& status) {
  const auto exists = [&](const std::string& name) {
    const Result<std::optional<struct stat>> there = root.status(name);
    return there && *there;
  };
  for (size_t i = 0; i < found.inventory.rejected.size(); ++i) {
    const RejectedImage& rejected = found.inventory.rejected[i];
    if (rejected.place == Place::inbox && !exists(rejected.name)) status.rejected[i].quarantined = true;
  }
  if (!status.image) return;
  const KnownImage& known = found.inventory.images[*found.plan.image];
  // Still where it was found, if it could not be moved.
  status.image->path = root.path_of(exists(known.name) ? known.name : store_name(known.image));
}

}  // namespace

Status provision(const Host& host, Progress& progress) {
  Status status;
  status.started_usec = monotonic_usec();
  const Result<Survey> found = survey(host, status);
  if (!found) {
    conclude(status, found.error());
    status.duration_usec = monotonic_usec() - status.started_usec;
    return status;
  }

  StepContext context{host.root, host.kernel, host.host_modules, found->facts, found->definition, found->inventory};
  if (found->plan.image) {
    const KnownImage& known = found->inventory.images[*found->plan.image];
    context.image = &known.image;
    status.image = ImageStatus{known.image.manifest().version,
                               known.image.root_hash_hex(),
                               known.image.signer().subject,
                               known.image.signer().fingerprint,
                               {}};  // its path is known once import has run
  }
  Execution execution = execute(found->plan, context, progress);
  status.steps = std::move(execution.reports);
  tell_where_files_are(host.root, *found, status);
  if (execution.failure) {
    conclude(status, *execution.failure);
  } else if (found->plan.problem) {
    conclude(status, *found->plan.problem);
  } else {
    status.reason = Reason::provisioned;
    status.message = found->config.driver + " " + status.image->version + " for " + found->facts.kernel_release;
  }
  status.duration_usec = monotonic_usec() - status.started_usec;
  return status;
}

Result<PlanText> describe_plan(const Host& host) {
  Status status;
  TRY(const Survey found, survey(host, status));
  PlanText plan;
  for (const PlannedStep& step : found.plan.steps)
    plan.text += std::string(step_name(step.kind)) + ": " + step.why + "\n";
  if (found.plan.problem) {
    plan.outcome = reason_of(*found.plan.problem);
    plan.text += std::string(reason_info(plan.outcome).code) + ": " + found.plan.problem->message() + "\n";
  }
  return plan;
}

}  // namespace driverext
