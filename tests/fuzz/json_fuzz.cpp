// The strict JSON reader.
#include "base/json.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const auto value = parse_json(input, {.max_size = 65536, .max_depth = 8});
  if (!value) {
    require(!value.error().what.empty());
    return;
  }
  // What was accepted can be written, and is accepted again. (nlohmann alone must agree that it is JSON.)
  const auto again = parse_json(value->dump());
  require(again.operator bool());
  require(Json::accept(input));
}

std::vector<std::string> seeds() { return {}; }

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(json, driverext::fuzz::run, driverext::fuzz::seeds)
