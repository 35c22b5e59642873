// state.json.
#include "provisioner/state.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const auto state = parse_state(input);
  if (!state) return;
  const auto again = parse_state(format_state(*state));
  require(again && again->good == state->good);
}

std::vector<std::string> seeds() {
  return {format_state(
      State{{{"6.1", {"nvidia", "580", std::string(64, 'a')}}, {"6.2", {"nvidia", "580", std::string(64, 'b')}}}})};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(state, driverext::fuzz::run, driverext::fuzz::seeds)
