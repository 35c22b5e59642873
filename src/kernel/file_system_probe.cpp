#include "kernel/file_system_probe.hpp"

#include <blkid/blkid.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <string_view>

namespace driverext {
namespace {

struct FreeProbe {
  void operator()(blkid_struct_probe* probe) const { blkid_free_probe(probe); }
};

// Read-only by design, and small enough to be trusted with what a publisher signed.
constexpr std::array<std::string_view, 2> kAccepted = {"squashfs", "erofs"};

// blkid_do_safeprobe's answers besides 0 and an errno.
constexpr int kNothing = 1;
constexpr int kAmbivalent = -2;

Error malformed(const std::string& what) { return make_error(Errc::untrusted, Reason::image_malformed, what); }

}  // namespace

Result<std::string> probe_file_system(int fd, uint64_t offset, uint64_t size, const std::string& what) {
  const std::unique_ptr<blkid_struct_probe, FreeProbe> probe(blkid_new_probe());
  if (!probe) return os_failure(ENOMEM, "cannot look for a file system on " + what);
  errno = 0;
  if (blkid_probe_set_device(probe.get(), fd, static_cast<blkid_loff_t>(offset), static_cast<blkid_loff_t>(size)) !=
      0) {
    return os_failure(errno != 0 ? errno : EIO, "cannot look for a file system on " + what);
  }
  blkid_probe_enable_superblocks(probe.get(), 1);
  blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE);
  errno = 0;
  const int found = blkid_do_safeprobe(probe.get());
  if (found == kNothing) return malformed("there is no known file system on " + what);
  if (found == kAmbivalent) return malformed("there is more than one file system on " + what);
  if (found != 0) {
    const int error = errno != 0 ? errno : EIO;
    Error failure = os_failure(error, "cannot read " + what);
    if (error == EIO) {
      failure.code = Errc::untrusted;
      failure.reason = Reason::data_corrupt;
    }
    return failure;
  }
  const char* type = nullptr;
  if (blkid_probe_lookup_value(probe.get(), "TYPE", &type, nullptr) != 0) {
    return malformed("there is no known file system on " + what);
  }
  if (std::find(kAccepted.begin(), kAccepted.end(), type) == kAccepted.end()) {
    return malformed("the file system on " + what + " is " + type + "; squashfs and erofs are accepted");
  }
  return std::string(type);
}

}  // namespace driverext
