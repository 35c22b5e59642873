// Who has the driver's devices open: as long as somebody does, its modules cannot be exchanged.
#include "doctor/checks.hpp"
#include "doctor/diagnosis.hpp"
#include "driver/driver_holders.hpp"

namespace driverext::checks {

// Whoever computes has them open; it is wrong only where another driver is waiting for its turn.
Result<Diagnosis> held_devices(const DoctorInput& input) {
  if (!input.definition) return without_definition(input);
  if (!driver_runs(input)) return not_applicable("the driver is not loaded");
  TRY(const std::vector<ModuleUse> modules, modules_of_driver(input.root, *input.definition));
  TRY(const ProcessHolders found,
      find_process_holders(input.root, holder_query(input.root, *input.definition, modules)));
  std::vector<std::string> holders;
  for (const ProcessHolder& holder : found.processes) holders.push_back(holder_text(holder));
  const std::string reason = status_text(input, "reason");
  const bool is_in_the_way =
      reason == reason_info(Reason::module_conflict).code || reason == reason_info(Reason::mount_conflict).code;
  if (is_in_the_way && !holders.empty()) return problem(listed(holders));
  if (!holders.empty()) return fine("in use: " + listed(holders));
  return found.all_seen ? fine("no process has a device of the driver open")
                        : unknown("no process that this user may look at has a device of the driver open");
}

}  // namespace driverext::checks
