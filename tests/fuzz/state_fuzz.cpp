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
  state.kernels["6.1"].good = {{"nvidia", "580", std::string(64, 'a'), 1}};
  state.kernels["6.2"].good = {{"nvidia", "580", std::string(64, 'b'), 2}, {"nvidia", "570", std::string(64, 'd'), 1}};
  const std::string settled = format_state(state);
  state.kernels["6.1"].attempt = Attempt{"590", std::string(64, 'c'), "the boot before", 3};
  state.kernels["6.1"].failed[std::string(64, 'c')] = {"590", "load-interrupted", "the node went down", 2, 4};
  state.pin = Pin{"nvidia", "580", ""};
  return {settled, format_state(state)};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(state, driverext::fuzz::run, driverext::fuzz::seeds)
