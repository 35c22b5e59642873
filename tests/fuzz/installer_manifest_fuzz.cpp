// The manifest of a driver package, and where it says that files go.
#include "userland/installer_manifest.hpp"

#include "base/text.hpp"
#include "target.hpp"
#include "userland/layout.hpp"

namespace driverext::fuzz {
namespace {

void stays_below_usr(const std::string& path) {
  require(path.starts_with("usr/") && !path.starts_with("usr/lib/modules/"));
  for (const std::string& part : split(path, '/')) require(!part.empty() && part != "." && part != "..");
}

void run(std::string_view input) {
  const auto manifest = parse_installer_manifest(input);
  if (!manifest) return;
  for (const UserlandClass wanted : {UserlandClass::compute, UserlandClass::all}) {
    const auto layout = lay_out_package(*manifest, {"sample", manifest->version, wanted, Compat32::include});
    if (!layout) continue;
    for (const PlacedFile& file : layout->files) {
      stays_below_usr(file.target);
      require(!file.source.starts_with('/') && (file.mode == 0755 || file.mode == 0644));
    }
    for (const PlacedLink& link : layout->links) {
      stays_below_usr(link.path);
      require(!link.text.starts_with('/') && !link.text.empty());
    }
  }
}

std::vector<std::string> seeds() {
  const std::string head = "Sample\n1.2\n \nsample \n \n \n./kernel/\n./kernel/precompiled/\n";
  return {head +
              "kernel/a/b.c 0644 KERNEL_MODULE_SRC INHERIT_PATH_DEPTH:1 MODULE:resman\n"
              "libcuda.so.1.2 0755 CUDA_LIB NATIVE / MODULE:gpgpu\n"
              "libcuda.so.1 0000 CUDA_SYMLINK NATIVE / libcuda.so.1.2 MODULE:gpgpu\n"
              "./32/libcuda.so.1.2 0755 CUDA_LIB COMPAT32 / MODULE:gpgpu\n",
          head +
              "f/x.bin 0644 FIRMWARE INHERIT_PATH_DEPTH:1\nd.conf 0644 EXPLICIT_PATH /usr/share/x\n"
              "g.so 0000 GBM_BACKEND_LIB_SYMLINK NATIVE lib.so.1\nlib.so.1 0755 OPENGL_LIB NATIVE\n"
              "u.service 0000 SYSTEMD_UNIT_SYMLINK a.requires/\n"};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(installer_manifest, driverext::fuzz::run, driverext::fuzz::seeds)
