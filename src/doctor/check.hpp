// Checks of `driverext doctor`: what is known to leave hosts like this one without their driver, each looked for in
// files below one root, so that a tree of files can stand for any host.
//
// A check changes nothing, and none of them stops another. What a host does not tell is unknown, never a problem: a
// false alarm on a healthy host is a defect.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "crypto/trusted_clock.hpp"
#include "driver/definition.hpp"
#include "host/facts.hpp"
#include "kernel/kernel.hpp"
#include "provisioner/config.hpp"
#include "provisioner/inventory.hpp"
#include "provisioner/state.hpp"
#include "sys/dir.hpp"
#include "sysext/manifest.hpp"

namespace driverext {

/// A verified image on the node.
struct NodeImage {
  Place place = Place::store;
  std::string name;  ///< relative to the root
  std::string root_hash;
  Manifest manifest;
  int64_t signer_valid_until = 0;  ///< when the first certificate of its signer's chain ends; 0: not known
};

/// A file in store, inbox or quarantine that is no image that this node trusts.
struct RefusedFile {
  Place place = Place::inbox;
  std::string name;  ///< relative to the root
  std::string message;
};

/// All that checks may look at. What could not be read is absent, with the reason beside it.
struct DoctorInput {
  const Dir& root;
  std::optional<Facts> facts = {};
  std::string facts_error = {};
  std::optional<Config> config = {};
  std::string config_error = {};
  std::optional<Definition> definition = {};  ///< of the configured driver
  std::string definition_error = {};
  State state = {};
  Json status = nullptr;  ///< run/driverext/status.json; null: there is none, or none that can be understood
  std::optional<size_t> trust_anchors = {};
  std::string trust_error = {};
  std::vector<NodeImage> images = {};
  std::vector<RefusedFile> refused = {};
  std::string inventory_error = {};             ///< images and refused are not known
  int64_t now = 0;                              ///< seconds since 1970
  std::optional<uint64_t> run_free_bytes = {};  ///< below /run
  /// A character device by its path below the root; nothing if there is none.
  std::function<Result<std::optional<DeviceNode>>(const std::string& name)> find_node = {};
  /// Asks the channel's server for its index, within a few seconds.
  std::function<Result<void>(const std::string& channel_url)> ask_channel = {};
};

struct Diagnosis {
  enum class Verdict {
    fine,
    problem,
    unknown,         ///< the host does not tell, or does not let this user look
    not_applicable,  ///< nothing here that it could be wrong of
  };
  Verdict verdict = Verdict::fine;
  std::string saw;  ///< one line
};
std::string_view verdict_name(Diagnosis::Verdict verdict);

struct CheckInfo {
  std::string_view name;        ///< stable: scripts ask for it
  std::string_view why;         ///< what happens if it is wrong
  std::string_view what_to_do;  ///< about a problem
  Result<Diagnosis> (*look)(const DoctorInput&);
};

/// In the order in which they are shown: what explains most comes first.
std::span<const CheckInfo> all_checks();

/// An error of the check is unknown, with the error's text.
Diagnosis run_check(const CheckInfo& check, const DoctorInput& input);

}  // namespace driverext
