// What a provision ended in: /run/driverext/status.json, which `driverext status` shows.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.hpp"
#include "host/facts.hpp"
#include "provisioner/execute.hpp"

namespace driverext {

constexpr std::string_view kStatusFile = "run/driverext/status.json";
constexpr size_t kMaxStatusSize = size_t{4} << 20;

struct ImageStatus {
  std::string version;
  std::string root_hash;
  std::string signer;              ///< subject
  std::string signer_fingerprint;  ///< SHA-256 of the certificate
  std::string path;
  std::string origin;
};

struct Status {
  Reason reason = Reason::step_failed;
  std::string message;  ///< one line
  std::string driver;
  std::string kernel_release;
  std::optional<ImageStatus> image;
  std::string rung;                     ///< of the ladder, that the image is on
  std::optional<ImageStatus> userland;  ///< the image with the driver's user part, if that is another one
  std::vector<StepReport> steps;
  struct Rejected {
    std::string path;
    std::string reason;
    std::string message;
    bool quarantined = false;
  };
  std::vector<Rejected> rejected;
  /// Images for this kernel that failed on this node, at some time or just now; not chosen while there is another.
  struct PutAside {
    std::string version;
    std::string root_hash;
    std::string reason;
    std::string message;
  };
  std::vector<PutAside> put_aside;
  std::vector<std::string> kernels_ready;  ///< releases that the store has an image for
  uint64_t started_usec = 0;               ///< since the kernel started
  uint64_t duration_usec = 0;
};

/// Version 1 of the format; members in a fixed order.
OrderedJson status_to_json(const Status& status);
Result<void> write_status(const Dir& root, const Status& status);

}  // namespace driverext
