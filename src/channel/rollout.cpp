#include "channel/rollout.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr std::string_view kMachineId = "etc/machine-id";
constexpr size_t kMaxMachineId = 4096;
constexpr uint64_t kPlaces = 10'000;

// NUL stands in no name, so two different lists of fields never give the same bytes.
void add_field(Sha256& hash, std::string_view field) {
  hash.update(as_bytes(field));
  hash.update(as_bytes(std::string_view("\0", 1)));
}

}  // namespace

std::optional<NodeId> NodeId::of_machine_id(std::string_view text) {
  const std::string_view id = trim(text);
  const auto is_zero = [](char c) { return c == '0'; };
  if (id.size() != 32 || !from_hex(id) || std::all_of(id.begin(), id.end(), is_zero)) return std::nullopt;
  Sha256 hash;
  add_field(hash, "driverext node 1");
  add_field(hash, id);
  return NodeId(hash.finish());
}

Result<std::optional<NodeId>> read_node_id(const Dir& root) {
  TRY(const std::optional<std::string> text, root.read_if_there(kMachineId, kMaxMachineId));
  return text ? NodeId::of_machine_id(*text) : std::nullopt;
}

RolloutPlace rollout_place(const std::optional<NodeId>& node, std::string_view channel, std::string_view driver,
                           const ReleaseNumber& release) {
  if (!node) return kPlaces - 1;
  Sha256 hash;
  add_field(hash, "driverext rollout 1");
  hash.update(node->digest());
  add_field(hash, channel);
  add_field(hash, driver);
  add_field(hash, release.text());
  const Digest digest = hash.finish();
  return static_cast<RolloutPlace>(load_le<uint64_t>(digest, 0) % kPlaces);
}

std::string place_text(RolloutPlace place) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%u.%02u %%", place / 100, place % 100);
  return text.data();
}

}  // namespace driverext
