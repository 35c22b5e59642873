// The most memory that this program held.
#pragma once

#include <cstdlib>
#include <fstream>
#include <string>

namespace driverext {

/// In KiB. Not getrusage's figure: that begins with what the process that ran exec held, which is the bench's Python.
inline long peak_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::atol(line.c_str() + 6);
  }
  return 0;
}

}  // namespace driverext
