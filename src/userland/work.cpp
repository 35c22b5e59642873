#include "userland/work.hpp"

#include "sys/process.hpp"

namespace driverext {

Result<void> go_on(const UserlandWork& work, std::string_view stage, uint64_t done, uint64_t total) {
  if (work.cancel_fd >= 0 && is_readable(work.cancel_fd)) return make_error(Errc::transient, "interrupted");
  work.progress(stage, done, total);
  return {};
}

}  // namespace driverext
