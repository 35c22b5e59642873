// The editor of the container toolkit's configuration.
#include "toolkit/toolkit_config.hpp"

#include "sys/toml_file.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const auto once = with_toml_string(input, "gpu-cli", "root", "/run/driver");
  if (!once) {
    require(once.error().code == Errc::invalid_input);
    require(once.error().reason == Reason::toolkit_config_invalid);
    return;
  }
  const auto twice = with_toml_string(*once, "gpu-cli", "root", "/run/driver");
  require(twice && *twice == *once);
  require((*parse_toml(*once, "result"))["gpu-cli"]["root"] == "/run/driver");
}

std::vector<std::string> seeds() {
  return {
      "[gpu-cli]\n#root = \"/x\"\nload = true\n\n# b\n[b.\"c\"]\nx = [1, 2.5]\n",
      "\xef\xbb\xbf\"gpu-cli\".root = '''\n/old'''\r\n[[t]]\r\nu = {v = \"\\u00e9\"}\r\n",
      "gpu-cli.load = true # c\na = \"\"\"\n[gpu-cli]\n\\\"\"\"\"\n",
      "[gpu-cli.x]\n[gpu-cli]\n  root = 1",
  };
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(toolkit_config, driverext::fuzz::run, driverext::fuzz::seeds)
