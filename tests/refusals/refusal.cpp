#include "refusals/refusal.hpp"

#include <array>

namespace driverext::test {

std::string_view stage_name(Stage stage) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "container", "signature partition", "signature", "trust", "manifest", "binding", "tree", "data"};
  return kNames[static_cast<size_t>(stage)];
}

const std::vector<Refusal>& all_refusals() {
  static const std::vector<Refusal> all = [] {
    std::vector<Refusal> rows;
    for (const auto& part : {container_refusals, partition_refusals, superblock_refusals, signature_partition_refusals,
                             signature_refusals, trust_refusals, manifest_refusals, binding_refusals, block_refusals}) {
      for (Refusal& row : part()) rows.push_back(std::move(row));
    }
    return rows;
  }();
  return all;
}

}  // namespace driverext::test
