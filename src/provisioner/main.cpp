#include <cstdio>
#include <exception>

#include "provisioner/provision.hpp"

// Nothing here throws on purpose; libraries may, when memory runs out.
int main(int argc, char** argv) try {
  return driverext::provision_main(argc, argv);
} catch (const std::exception& error) {
  std::fprintf(stderr, "driverext: internal error: %s\n", error.what());
  return static_cast<int>(driverext::ExitCode::failed);
}
