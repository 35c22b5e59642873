// driver-root-tool ROOT IMAGE NAME PLACE: puts a driver root into place on the running kernel, from any folder with a
// usr/ in it, and says how it came there. driver-root-tool ROOT PLACE takes it away.
#include <cstdio>

#include "kernel/linux_kernel.hpp"
#include "provisioner/driver_root.hpp"

namespace driverext {
namespace {

Result<const char*> run(int argc, char** argv) {
  TRY(const Dir root, Dir::open_root(argv[1]));
  const std::unique_ptr<Kernel> kernel = make_linux_kernel(root);
  const std::unique_ptr<Programs> programs = make_real_programs();
  if (argc == 3) {
    TRY_VOID(remove_driver_root(*kernel, root, argv[2]));
    return "removed";
  }
  DriverRoot made(root, *kernel, *programs, argv[2], argv[3], argv[4]);
  Result<Placing> placed = made.build_and_place();
  if (!placed) {
    (void)made.undo();
    return std::move(placed).error();
  }
  constexpr const char* kNames[] = {"first", "beneath", "swapped"};
  return kNames[static_cast<size_t>(*placed)];
}

}  // namespace
}  // namespace driverext

int main(int argc, char** argv) {
  if (argc != 3 && argc != 5) return 2;
  const driverext::Result<const char*> done = driverext::run(argc, argv);
  if (!done) std::fprintf(stderr, "%s\n", done.error().message().c_str());
  if (done) std::puts(*done);
  return done ? 0 : 1;
}
