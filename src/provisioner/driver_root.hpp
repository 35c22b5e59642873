// The driver root: a directory that looks like a root file system with the driver's user part and the host's devices.
//
// Built aside, in a tmpfs with bind mounts, and put into place as one tree of mounts in one move. Whatever driverext
// has mounted for it is a tmpfs of this name: by it a root that an earlier run left is told from what others mounted.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "driver/definition.hpp"
#include "kernel/kernel.hpp"
#include "sys/dir.hpp"
#include "sys/programs.hpp"

namespace driverext {

inline constexpr const char* kRootSource = "driverext";

/// The driver root at its place (relative to the root). Errors: Reason::mount_conflict if somebody else mounted there.
Result<std::optional<MountPoint>> find_driver_root(Kernel& kernel, const Dir& root, const std::string& place);

/// Takes it away, all of it if runs that were killed left several, with what lies aside. Its own readers keep what they
/// have open. None there is fine. Errors: as find_driver_root.
Result<void> remove_driver_root(Kernel& kernel, const Dir& root, const std::string& place);

class DriverRoot {
 public:
  /// `image` is where the mounted image is, relative to the root as is `place`; `name` tells this root from others.
  DriverRoot(const Dir& root, Kernel& kernel, Programs& programs, std::string image, const std::string& name,
             std::string place);

  /// A failure half-way is left for undo().
  Result<Placing> build_and_place();
  /// The one before is there again, or none.
  Result<void> undo();

 private:
  Result<void> build();
  Result<void> mount_parts();
  Result<Placing> put_into_place();
  Result<void> mount(const MountRequest& request);
  Result<void> make_folder(const std::string& name);
  [[nodiscard]] std::string path(const std::string& name) const { return root_.path_of(name); }

  const Dir& root_;
  Kernel& kernel_;
  Programs& programs_;
  std::string image_;
  std::string aside_;
  std::string place_;
  bool is_aside_ = false;             ///< something is mounted there
  std::optional<PlacedTree> placed_;  ///< it is in place, and what was there before
  std::vector<std::string> folders_;  ///< made here, in order
};

}  // namespace driverext
