// modprobe.d files and the words of a kernel's command line, and what is made of them.
#include "base/text.hpp"
#include "modules/modprobe_config.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  ModprobeConfig config;
  parse_modprobe_file(std::string(input), "/etc/modprobe.d/x.conf", config);
  size_t lines = config.blacklist.size() + config.install.size();
  for (const auto& [module, options] : config.options) {
    require(!module.empty() && module == module_name_form(module));
    lines += options.size();
    for (const ModprobeLine& line : options) require(line.value.find('\n') == std::string::npos);
  }
  require(lines <= split(input, '\n').size());
}

std::vector<std::string> seeds() {
  return {
      "# comment\noptions gpu a=1 b=\"x y\"\nblacklist old-gpu\ninstall other /bin/false\n",
      "options gpu \\\n  a=1 \\\n  b=2\nsoftdep x pre: y\nremove x /bin/true\n\\\n",
  };
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(modprobe, driverext::fuzz::run, driverext::fuzz::seeds)
