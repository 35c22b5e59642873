#include "refusals/refusal.hpp"

#include <algorithm>
#include <array>

#include "support/sample_image.hpp"

namespace driverext::test {

std::string_view stage_name(Stage stage) {
  static constexpr std::array<std::string_view, 10> kNames = {
      "trust files", "container", "signature partition", "signature", "trust", "policy", "manifest", "binding",
      "tree",        "data"};
  return kNames[static_cast<size_t>(stage)];
}

std::string anchors_pem(const Refusal& row) {
  if (row.trust.empty()) return publisher().certificate_pem;
  std::string all;
  for (const std::string& pem : row.trust) all += pem;
  return all;
}

const std::vector<Refusal>& all_refusals() {
  static const std::vector<Refusal> all = [] {
    std::vector<Refusal> rows;
    for (const auto& part :
         {container_refusals, partition_refusals, superblock_refusals, signature_partition_refusals, signature_refusals,
          trust_refusals, policy_refusals, manifest_refusals, binding_refusals, block_refusals}) {
      for (Refusal& row : part()) rows.push_back(std::move(row));
    }
    std::stable_sort(rows.begin(), rows.end(), [](const Refusal& a, const Refusal& b) { return a.stage < b.stage; });
    return rows;
  }();
  return all;
}

}  // namespace driverext::test
