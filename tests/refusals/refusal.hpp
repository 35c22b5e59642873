// The refusal matrix: images with one defect each, where it must be found, and with which reason.
//
// Every row is real bytes: a good signed image, damaged, or signed by the wrong one, or signed rightly over something
// hostile, or good and against the node's policy. tests/unit/refusal_matrix_test.cpp runs them through the library,
// tests/host/test_refusals.py through `driverext image verify`, and docs/refusals.md lists them.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "support/signer.hpp"

namespace driverext::test {

/// Which check must refuse. Those before it must let the image pass.
enum class Stage {
  trust_files,          ///< what the node is told to trust, before any image
  container,            ///< partition tables, gaps, superblock
  signature_partition,  ///< the JSON
  signature,            ///< the CMS, before it is asked who signed
  trust,                ///< who signed
  policy,               ///< what the node's policy and revocation lists say of signer and image
  manifest,             ///< signed, and hostile
  binding,              ///< the parts do not belong together
  tree,
  data,
};
std::string_view stage_name(Stage stage);

struct Refusal {
  std::string name;  ///< "should-fail-..."
  Stage stage = Stage::container;
  std::string reason;                   ///< reason code
  std::function<std::string()> bytes;   ///< the whole file
  std::string says = {};                ///< stands in the error, where one reason has many causes
  std::vector<std::string> trust = {};  ///< certificates (PEM); none: the publisher's
  std::string policy = {};              ///< policy.toml; empty: there is none
  std::vector<std::string> crls = {};   ///< revocation lists (PEM)
};

inline void PrintTo(const Refusal& row, std::ostream* out) { *out << row.name; }

/// The name under which a row's certificates are loaded; policies can name it.
inline constexpr const char* kAnchorsFile = "anchors.crt";
/// A row's certificates, in one PEM text.
std::string anchors_pem(const Refusal& row);

/// All rows, in the order of the stages.
const std::vector<Refusal>& all_refusals();

// A file each.
std::vector<Refusal> container_refusals();
std::vector<Refusal> partition_refusals();
std::vector<Refusal> superblock_refusals();
std::vector<Refusal> signature_partition_refusals();
std::vector<Refusal> signature_refusals();
std::vector<Refusal> trust_refusals();
std::vector<Refusal> policy_refusals();
std::vector<Refusal> manifest_refusals();
std::vector<Refusal> binding_refusals();
std::vector<Refusal> block_refusals();

}  // namespace driverext::test
