// What of a dkms.conf is for one kernel: whether it is meant for it at all, which make line, which patches.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "kbuild/dkms_conf.hpp"

namespace driverext {

/// As dkms compares releases: runs of digits by their value, all else by its bytes. -1, 0 or 1.
int compare_releases(const std::string& a, const std::string& b);

/// Nothing, or Errc::incompatible: "not meant for this kernel: ...". `config` is the kernel's .config.
Result<void> check_exclusive(const DkmsExclusive& exclusive, const std::string& kernel_release, const std::string& arch,
                             std::string_view config);

/// The last make line that matches, else the first if it is for all kernels; empty: the default.
Result<std::string> make_line_for(const DkmsConf& conf, const std::string& kernel_release);

/// Names below patches/, in their order.
Result<std::vector<std::string>> patches_for(const DkmsConf& conf, const std::string& kernel_release);

}  // namespace driverext
