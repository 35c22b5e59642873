// What people decide about automatic rollback: pin, rollback and retry, and how an image stands (list). Decisions are
// pure: the survey of a node in, its new memory out; write_memory() makes it last.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "provisioner/selection/choose.hpp"
#include "provisioner/survey.hpp"

namespace driverext {

/// As much of a root hash as tells images apart where people read it.
std::string short_hash(const std::string& root_hash);

/// How an image stands with a kernel.
struct Standing {
  bool is_running = false;
  bool is_good = false;
  bool is_last_good = false;
  bool is_pinned = false;
  const FailedImage* failed = nullptr;  ///< in the state that was asked
};
Standing standing_of(const State& state, const std::string& kernel_release, const std::string& running,
                     const ImageIdentity& image);
/// "running, last good, pinned"; "put aside (check-failed, 2027-01-15 08:00 UTC)"; empty if nothing is known.
std::string standing_text(const Standing& standing);

/// A failure that is remembered.
struct RememberedFailure {
  std::string kernel_release;
  std::string root_hash;
  FailedImage failure;
  bool operator==(const RememberedFailure&) const = default;
};
/// By kernel release, then root hash.
std::vector<RememberedFailure> all_failures(const State& state);

/// What a boot into the node's kernel would use, were this remembered: nothing runs yet then.
Choice choice_at_boot(const Survey& node, const State& state);

/// Whether a person wants it also if it leaves the node without a driver.
enum class Insistence { none, force };

/// What is meant by a version, or by the beginning of a root hash (8 hex digits and more): the pin for it. What is not
/// on this node is taken for a version that the channel will bring, if there is one, or if the person insists.
/// Errors: Errc::not_found; Errc::invalid_input if it fits several images, or is neither version nor root hash.
Result<Pin> pin_for(const Survey& node, const std::string& text, Insistence insistence);
/// On this node.
bool is_here(const Survey& node, const Pin& pin);
/// Whatever failed of what is pinned is forgotten, on every kernel: a person wants it.
State with_pin(State state, Pin pin);

struct RollbackDecision {
  GoodImage image;  ///< what is put aside
  State state;
  Choice next;
};
/// Puts what is in use on the node's kernel aside, for this kernel. Errors: Errc::not_found if nothing was good on it
/// yet, Errc::conflict if this very image is pinned, Reason::no_image_for_kernel if nothing else could be used and the
/// person does not insist.
Result<RollbackDecision> decide_rollback(const Survey& node, int64_t now, Insistence insistence);

struct RetryDecision {
  std::vector<RememberedFailure> forgotten;
  State state;
};
/// Forgets how a version or image (a root hash, or its beginning) failed. `kernel_release` empty: on every kernel.
/// Errors: Errc::not_found if it has not failed there, Errc::invalid_input if it fits several images.
Result<RetryDecision> decide_retry(const State& state, const std::string& text, const std::string& kernel_release);

/// To be called with kProvisionLock held, as what was decided on was read. Errors: Errc::unsupported if a newer
/// driverext wrote the state, which is then left alone.
Result<void> write_memory(const Dir& root, State state);

}  // namespace driverext
