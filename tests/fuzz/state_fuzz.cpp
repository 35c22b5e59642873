// state.json.
#include "provisioner/state.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const auto state = parse_state(input);
  if (!state) return;
  const auto again = parse_state(format_state(*state));
  require(again && *again == *state);
}

std::vector<std::string> seeds() {
  State state;
  state.good = {{"6.1", {"nvidia", "580", std::string(64, 'a')}}, {"6.2", {"nvidia", "580", std::string(64, 'b')}}};
  const std::string settled = format_state(state);
  state.attempt = Attempt{"6.1", "590", std::string(64, 'c'), "the boot before"};
  state.failed[std::string(64, 'c')] = {"590", "load-interrupted", "the node went down", 2};
  return {settled, format_state(state)};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(state, driverext::fuzz::run, driverext::fuzz::seeds)
