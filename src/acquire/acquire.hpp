// Acquiring: the lower rungs of the ladder. An image for a kernel that the store has none for is fetched from the
// channel or built on this node, off the boot's critical path.
#pragma once

#include <functional>
#include <string>

#include "channel/fetcher.hpp"
#include "provisioner/provision.hpp"

namespace driverext {

/// Locked while an image is fetched or built.
inline constexpr const char* kAcquireLock = "run/driverext/acquire-lock";

enum class Acquired { present, imported, fetched, built };

struct AcquireRequest {
  std::string kernel_release;  ///< need not be the running one
  /// Told what is being done: Reason::fetching or Reason::building, and how far it is.
  std::function<void(Reason reason, const std::string& message)> progress;
  /// What else a person should know.
  std::function<void(const std::string& message)> remark;
};

struct AcquireResult {
  Acquired how = Acquired::present;
  std::string version;
  std::string root_hash;
};

/// Makes sure that the store holds an image of the configured driver for the kernel. One at a time on a host: else
/// Errc::transient. Leaves nothing behind if it fails; SIGINT and SIGTERM while it builds are such a failure
/// (Reason::building). Errors: with the reason of the last rung that was open. What is untrusted ends the ladder.
Result<AcquireResult> acquire_image(const Host& host, Fetcher& fetcher, const AcquireRequest& request);

}  // namespace driverext
