// Trees of mounts as the kernel's newer mount calls handle them: copied as a whole, put into place in one move.
#pragma once

#include <memory>
#include <string>

#include "kernel/kernel.hpp"

namespace driverext {

/// As Kernel::detach, copy_tree and place_tree.
Result<void> detach_mounts(const std::string& target);
Result<std::unique_ptr<MountTree>> copy_mount_tree(const std::string& target);
Result<PlacedTree> place_mount_tree(MountTree& tree, const std::string& place);

}  // namespace driverext
