// What a node remembers across reboots: for each kernel the images that were good on it and what failed, and what a
// person pinned. Written before modules are loaded and when it is known how that ended; a run that loads nothing writes
// nothing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

constexpr std::string_view kStateFile = "var/lib/driverext/state.json";
constexpr size_t kMaxStateSize = size_t{1} << 20;

struct GoodImage {
  std::string driver;
  std::string version;
  std::string root_hash;
  int64_t time = 0;  ///< when it was found good first: seconds since 1970
  bool operator==(const GoodImage&) const = default;
};

/// An image whose modules are being loaded. Still there in another boot: the node went down meanwhile.
struct Attempt {
  std::string version;
  std::string root_hash;
  std::string boot_id;  ///< of the boot that it was begun in
  int64_t time = 0;
  bool operator==(const Attempt&) const = default;
};

/// An image that failed on this node.
struct FailedImage {
  std::string version;
  std::string reason;  ///< reason code of the last time
  std::string message;
  uint64_t attempts = 0;
  int64_t time = 0;  ///< of the last one
  bool operator==(const FailedImage&) const = default;

  [[nodiscard]] bool is_put_aside() const;
};

/// After so many failed attempts an image is put aside: not used again, even if there is no other, until a person says
/// so. After fewer it comes behind all that did not fail.
constexpr uint64_t kMaxAttempts = 2;
/// So many good images are remembered for each kernel.
constexpr size_t kMaxGood = 4;

/// What is remembered for one kernel release.
struct KernelMemory {
  std::vector<GoodImage> good;  ///< the last one first, each root hash once
  std::optional<Attempt> attempt;
  std::map<std::string, FailedImage> failed;  ///< by root hash
  bool operator==(const KernelMemory&) const = default;

  [[nodiscard]] bool is_good(const std::string& root_hash) const;
  /// Nothing if it never failed.
  [[nodiscard]] const FailedImage* failure_of(const std::string& root_hash) const;
  /// It failed, and is not known to be good: one interruption of a good image is a power cut as likely as not.
  [[nodiscard]] bool is_doubtful(const std::string& root_hash) const;
  /// It is the last good one now, and its failures are forgotten.
  void remember_good(GoodImage image);
  /// One more failed attempt. One that is put aside by it is good no longer.
  void remember_failure(const std::string& root_hash, const std::string& version, std::string reason,
                        std::string message, int64_t time);
};

/// What a person wants this node to stay with (driverext pin).
struct Pin {
  std::string driver;
  std::string version;
  std::string root_hash;  ///< of one image; empty: any image of that version
  bool operator==(const Pin&) const = default;
};

struct State {
  std::map<std::string, KernelMemory> kernels;  ///< by release
  std::optional<Pin> pin;
  bool operator==(const State&) const = default;

  /// An empty one if nothing is remembered of that kernel.
  [[nodiscard]] const KernelMemory& of(const std::string& kernel_release) const;
};

/// Format 2, or 1: what had failed then counts for every kernel that is named, since it did not say for which.
Result<State> parse_state(std::string_view text);
std::string format_state(const State& state);

/// The state file of a host. What is damaged is lost and begun anew; what a newer driverext wrote is left alone.
class StateFile {
 public:
  /// One that cannot be read is taken as empty, and each write() says why.
  static StateFile read(const Dir& root);
  [[nodiscard]] const State& state() const { return state_; }
  /// Writes it if it differs from what is on disk.
  Result<void> write(State state);

 private:
  explicit StateFile(const Dir& root) : root_(&root) {}
  const Dir* root_;
  State state_;
  bool is_newer_ = false;
  State on_disk_;
  bool is_stale_ = false;  // damaged: what is on disk is nothing
  std::optional<Error> unreadable_;
};

}  // namespace driverext
