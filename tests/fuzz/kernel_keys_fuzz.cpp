// What the kernel shows of its keyrings, with the subjects of other people's certificates in it; and lists of modules.
#include "base/text.hpp"
#include "host/module_list.hpp"
#include "host/module_trust.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  if (const auto keys = parse_kernel_keys(input)) {
    for (const KernelKey& key : *keys) {
      require(key.description.find('\n') == std::string::npos && key.description.ends_with(key.id));
      require(key.id.size() % 2 == 0 && key.id.find_first_not_of("0123456789abcdef") == std::string::npos);
    }
  }
  if (const auto paths = parse_module_paths(input)) {
    for (const std::string& path : *paths) {
      require(path.find(".ko") != std::string::npos && path.find_first_of(": \n") == std::string::npos);
      require(module_name_of_path(path).find('/') == std::string::npos);
    }
  }
}

std::vector<std::string> seeds() {
  return {
      "1b5d1f2c I------     1 perm 1f0b0000     0     0 keyring   .builtin_trusted_keys: 1\n"
      "302d2d52 I------     1 perm 1f010000     0     0 asymmetri A: b: d69a84e6a7118079: X509.rsa a7118079 []\n"
      "20c4d9e1 I------     1 expd 1f030000     0     0 asymmetri C: 00b2: X509.rsa []\n",
      "kernel/a/b-c.ko.xz: kernel/d.ko.xz\nextra/e.ko:\nf.ko\n"};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(kernel_keys, driverext::fuzz::run, driverext::fuzz::seeds)
