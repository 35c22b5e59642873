// finit-modules PARAMETERS FILE...: what loading costs without anything around it. Gives each module file to the kernel
// in the given order, all with the same parameters, and prints how many microseconds that took.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "sys/fd.hpp"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: finit-modules PARAMETERS FILE...\n", stderr);
    return 2;
  }
  const auto started = std::chrono::steady_clock::now();
  for (int i = 2; i < argc; ++i) {
    const driverext::UniqueFd fd(::open(argv[i], O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0 || ::syscall(SYS_finit_module, fd.get(), argv[1], 0) != 0) {
      std::fprintf(stderr, "finit-modules: %s: %s\n", argv[i], std::strerror(errno));
      return 1;
    }
  }
  const auto took = std::chrono::steady_clock::now() - started;
  std::printf("%lld\n", static_cast<long long>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
  return 0;
}
