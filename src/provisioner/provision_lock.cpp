#include "provisioner/provision_lock.hpp"

namespace driverext {

Result<UniqueFd> lock_provision(const Dir& root, std::string_view busy) {
  // One event after another may bring a look over the nodes about.
  constexpr int kTries = 10;
  for (int tries = 1;; ++tries) {
    Result<UniqueFd> lock = root.lock_folder(kProvisionLock, busy);
    if (lock || lock.error().code != Errc::transient || tries == kTries) return lock;
    // Free if it is a provision, or another verb.
    TRY(const UniqueFd devices, root.wait_for_lock(kDevicesLock));
  }
}

}  // namespace driverext
