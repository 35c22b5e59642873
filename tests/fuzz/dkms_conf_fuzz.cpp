// dkms.conf, and what a shell answers about one.
#include "kbuild/dkms_conf.hpp"

#include "kbuild/dkms_fit.hpp"
#include "kbuild/dkms_shell.hpp"
#include "kbuild/pattern.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void check(const DkmsConf& conf) {
  require(!conf.package_name.empty() && conf.package_name.find('/') == std::string::npos);
  require(!conf.package_version.empty() && conf.package_version.find('/') == std::string::npos);
  require(!conf.modules.empty() && conf.modules.size() <= kMaxShellIndex + 1);
  // These become paths.
  for (const DkmsModule& module : conf.modules) {
    for (const std::string& name : {module.built_name, module.name}) {
      require(!name.empty() && name.front() != '.' && name.find('/') == std::string::npos);
    }
    require(module.built_location.empty() || module.built_location.front() != '/');
    require(("/" + module.built_location).find("/../") == std::string::npos);
  }
  for (const DkmsMatched& patch : conf.patches) require(("/" + patch.value).find("/..") == std::string::npos);
  (void)make_line_for(conf, "6.1.0-9-amd64");
  (void)patches_for(conf, "6.1.0-9-amd64");
  (void)check_exclusive(conf.exclusive, "6.1.0-9-amd64", "x86_64", "CONFIG_PCI=y\n");
}

void run(std::string_view input) {
  (void)matches_pattern(std::string(input), "6.1.0-9-amd64");
  const auto reading = read_dkms_conf(input, {"6.1.0-9-amd64", "/lib/modules/6.1/build", "x86_64", "/dkms", "/src"});
  if (reading && reading->needs_shell) require(reading->needs_shell->line >= 1 && !reading->needs_shell->why.empty());
  if (reading && !reading->needs_shell) check(reading->conf);
  const auto reply = parse_shell_reply(input);
  if (!reply) return;
  size_t total = 0;
  for (const auto& [name, elements] : *reply) {
    for (const auto& [index, value] : elements) total += value.size();
    require(elements.rbegin()->first <= kMaxShellIndex);
  }
  require(total <= kMaxShellTotal);
  if (const auto conf = dkms_conf_of(*reply)) check(*conf);
}

std::vector<std::string> seeds() {
  using namespace std::string_literals;
  return {"PACKAGE_NAME\0"s + "0\0cam\0"s + "PACKAGE_VERSION\0"s + "0\0"s + "1\0"s + "BUILT_MODULE_NAME\0"s +
              "3\0x\0end\0"s,
          "^(5\\.[0-9]+|[[:digit:]]*)?.$"};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(dkms_conf, driverext::fuzz::run, driverext::fuzz::seeds)
