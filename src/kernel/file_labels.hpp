// FileLabels: what the host's SELinux policy calls a file. libselinux is loaded where SELinux is on; hosts without it
// need not have the library.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

class FileLabels {
 public:
  /// Opens the policy's list of files. Without SELinux, without the library or without a list nothing has a label.
  explicit FileLabels(const Dir& root);

  /// Of a character device; nothing if the policy has no opinion. Errors: Errc::system.
  [[nodiscard]] Result<std::optional<std::string>> label_for(const std::string& path) const;

 private:
  struct Policy;
  std::shared_ptr<const Policy> policy_;  // none: nobody asks for labels
};

}  // namespace driverext
