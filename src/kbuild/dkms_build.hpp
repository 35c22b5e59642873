// Building a DKMS source tree, as dkms(8) would, for a kernel that need not be the running one.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "kbuild/builder.hpp"
#include "sys/programs.hpp"

namespace driverext {

struct DkmsRequest {
  std::string
      source;  ///< a folder with a dkms.conf, one with usr/src/NAME-VERSION/dkms.conf, or a Debian package (.deb)
  std::string kernel_release;
  Builder builder = Builder::host();
  std::string work;  ///< absolute path of an empty folder that is the caller's to remove, also after a failure
  /// The date for what writes dates into what it makes, and of the modules' files; nothing: the newest file of the
  /// source.
  std::optional<uint64_t> source_date_epoch = {};
  unsigned timeout_sec = kBuildTimeoutSec;
  int cancel_fd = -1;  ///< readable: give up
  /// Told how far it is, now and then.
  std::function<void(const std::string& what)> progress = [](const std::string&) {};
};

/// What the compiler said, below `work`; there also after a failure.
constexpr const char* kDkmsLog = "/log";

struct DkmsBuilt {
  std::string modules;             ///< absolute path, below `work`: the folder with the module files and nothing else
  std::vector<std::string> files;  ///< their names, in the order of dkms.conf
  std::string package_name;
  std::string package_version;
  std::string license;        ///< what the first module says; empty if none says anything
  std::string source_digest;  ///< of SourceIdentity (source_tree.hpp)
};

/// Errors: Errc::incompatible if it is not meant for this kernel; Reason::builder_missing without the kernel's headers;
/// Reason::build_failed with the compiler's first error, or with the modules that were not made whatever the exit
/// status said; Errc::unsupported for a dkms.conf that is a program, with the host as builder; Errc::transient if it
/// was interrupted.
Result<DkmsBuilt> build_dkms(Programs& programs, const DkmsRequest& request);

}  // namespace driverext
