// The running Linux kernel.
#pragma once

#include <memory>

#include "kernel/kernel.hpp"
#include "sys/dir.hpp"

namespace driverext {

/// `root` is where /proc and /sys are found; it outlives the kernel.
std::unique_ptr<Kernel> make_linux_kernel(const Dir& root);

}  // namespace driverext
