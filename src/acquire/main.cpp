// /usr/libexec/driverext/acquire: what driverext-acquire.service runs.
#include <cstdio>
#include <exception>

#include "acquire/acquire_main.hpp"

int main(int argc, char** argv) try {
  return driverext::acquire_main(argc, argv);
} catch (const std::exception& error) {
  std::fprintf(stderr, "driverext: internal error: %s\n", error.what());
  return 1;
}
