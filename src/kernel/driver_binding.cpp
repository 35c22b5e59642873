#include "kernel/driver_binding.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "sys/fd.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

constexpr int kLetGoMsec = 10'000;

std::string override_file(const PciBinding& binding) {
  return "sys/bus/pci/devices/" + binding.address + "/driver_override";
}
std::string driver_file(const PciBinding& binding, const std::string& name) {
  return "sys/bus/pci/drivers/" + binding.driver + "/" + name;
}

// Whether a process is over by then.
bool ends(pid_t process, int timeout_msec) {
  // Not ::pidfd_open: glibc 2.36 declares it without C linkage.
  const UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
  pollfd waited{fd.get(), POLLIN, 0};
  int ready = 0;
  do ready = ::poll(&waited, 1, timeout_msec);
  while (ready < 0 && errno == EINTR);
  return ready > 0;
}

// From a process of its own: a driver may wait until its last user has gone, and cannot always be told to stop.
Result<void> write_attribute(const Dir& root, const std::string& name, const std::string& text) {
  const std::string path = root.path_of(name);
  TRY(const UniqueFd file, root.open_file(name, O_WRONLY));
  const pid_t child = ::fork();
  if (child < 0) return os_failure(errno, "cannot start the process that writes to " + path);
  if (child == 0) {
    close_all_but(file.get());
    ::_exit(::write(file.get(), text.data(), text.size()) < 0 ? errno : 0);
  }
  if (!ends(child, kLetGoMsec)) {
    ::kill(child, SIGKILL);
    if (ends(child, 0)) ::waitpid(child, nullptr, 0);
    return make_error(Errc::conflict, path + " took longer than " + std::to_string(kLetGoMsec / 1000) + " seconds");
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : EFAULT;
  return code == 0 ? Result<void>() : os_failure(code, "cannot write to " + path);
}

}  // namespace

// The override comes first: it says who may have the device next. A line break empties it.
Result<void> unbind_pci_device(const Dir& root, const PciBinding& binding) {
  if (!binding.driver_override.empty()) TRY_VOID(write_attribute(root, override_file(binding), "\n"));
  Result<void> unbound = write_attribute(root, driver_file(binding, "unbind"), binding.address);
  if (!unbound && !binding.driver_override.empty()) {
    (void)write_attribute(root, override_file(binding), binding.driver_override + "\n");
  }
  return unbound;
}

Result<void> bind_pci_device(const Dir& root, const PciBinding& binding) {
  if (!binding.driver_override.empty()) {
    TRY_VOID(write_attribute(root, override_file(binding), binding.driver_override + "\n"));
  }
  return write_attribute(root, driver_file(binding, "bind"), binding.address);
}

}  // namespace driverext
