// A kernel's configuration.
#include "host/kernel_config.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const auto config = parse_kernel_config(input);
  if (!config) return require(config.error().code == Errc::invalid_input);
  require(!config->empty() && input.ends_with('\n'));
  for (const auto& [name, value] : *config) {
    require(name.starts_with("CONFIG_") && input.find(name + "=") != std::string_view::npos);
    require(value.size() <= 4096 && value.find_first_of(std::string_view("\n\0", 2)) == std::string::npos);
  }
}

std::vector<std::string> seeds() {
  return {
      "#\n# Linux/x86 6.12.94 Kernel Configuration\n#\nCONFIG_SMP=y\nCONFIG_SQUASHFS=m\n\n"
      "# CONFIG_EROFS_FS is not set\nCONFIG_HZ=250\nCONFIG_BASE=0xdead\nCONFIG_SALT=\"a \\\"b\\\" c\\\\d\"\n",
      "CONFIG_A=n\nCONFIG_B=\"\"\n"};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(kernel_config, driverext::fuzz::run, driverext::fuzz::seeds)
