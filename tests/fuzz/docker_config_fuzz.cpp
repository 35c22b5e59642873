// The editor of dockerd's configuration.
#include "toolkit/docker_config.hpp"

#include "base/json.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const auto once = with_docker_runtime(input, "gpu", "/opt/gpu/runtime");
  if (!once) {
    require(once.error().code == Errc::invalid_input);
    require(once.error().reason == Reason::toolkit_config_invalid);
    return;
  }
  // Nothing is left to do, and what nlohmann could read it still can.
  const auto twice = with_docker_runtime(*once, "gpu", "/opt/gpu/runtime");
  require(twice && *twice == *once);
  if (Json::accept(input)) require(Json::accept(*once));
}

std::vector<std::string> seeds() {
  return {
      "{}",
      "\xef\xbb\xbf{\n  \"debug\": true,\n  \"runtimes\": {\n    \"x\": {\"path\": \"/x\"}\n  }\n}\n",
      R"({"runtimes":{"gpu":{"path":"/old","args":["\u00e9"],"runtimeType":""}},"a":[-1.5e3,null]})",
      R"({"runtimes":{"gpu":{"runtimeType":"a.b"}},"runtimes":null})",
  };
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(docker_config, driverext::fuzz::run, driverext::fuzz::seeds)
