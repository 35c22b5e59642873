#include "kernel/loop.hpp"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>

namespace driverext {

Result<LoopDevice> attach_loop(int file, uint64_t offset, uint64_t size) {
  const UniqueFd control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control) {
    const int error = errno;
    Error failure = os_failure(error, "cannot open /dev/loop-control");
    if (error == ENOENT || error == ENODEV) failure.reason = Reason::kernel_feature_missing;
    return failure;
  }
  loop_config config{};
  config.fd = static_cast<uint32_t>(file);
  config.block_size = 4096;
  config.info.lo_offset = offset;
  config.info.lo_sizelimit = size;
  config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;

  // Somebody else may take the free device between the two calls; then there is another one.
  constexpr int kAttempts = 64;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return os_failure(errno, "there is no free loop device");
    LoopDevice device;
    device.node = "/dev/loop" + std::to_string(number);
    device.fd = UniqueFd(::open(device.node.c_str(), O_RDONLY | O_CLOEXEC));
    if (!device.fd) return os_failure(errno, "cannot open " + device.node);
    if (::ioctl(device.fd.get(), LOOP_CONFIGURE, &config) == 0) {
      struct stat info {};
      if (::fstat(device.fd.get(), &info) != 0) return os_failure(errno, "cannot look at " + device.node);
      device.device_number = info.st_rdev;
      return device;
    }
    if (errno != EBUSY) return os_failure(errno, "cannot attach the image to " + device.node);
  }
  return make_error(Errc::transient, "other programs took every free loop device");
}

}  // namespace driverext
