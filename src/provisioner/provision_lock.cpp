#include "provisioner/provision_lock.hpp"

#include <poll.h>

namespace driverext {

Result<UniqueFd> lock_provision(const Dir& root, std::string_view busy) {
  constexpr int kTries = 20;
  constexpr int kPauseMsec = 50;
  for (int tries = 1;; ++tries) {
    Result<UniqueFd> lock = root.lock_folder(kProvisionLock, busy);
    if (lock || lock.error().code != Errc::transient || tries == kTries) return lock;
    // At once if it is a provision, or another verb.
    { TRY(const UniqueFd devices, root.wait_for_lock(kDevicesLock)); }
    // A look over the nodes that has the one lock, and not yet the other. Nobody tells when it has.
    ::poll(nullptr, 0, kPauseMsec);
  }
}

}  // namespace driverext
