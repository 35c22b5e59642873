// What a node remembers across reboots: the good image for each kernel, and what failed. Holds no times, so that a
// boot that changes nothing writes nothing.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sys/dir.hpp"

namespace driverext {

constexpr std::string_view kStateFile = "var/lib/driverext/state.json";
constexpr size_t kMaxStateSize = size_t{1} << 20;

struct GoodImage {
  std::string driver;
  std::string version;
  std::string root_hash;
  bool operator==(const GoodImage&) const = default;
};

/// An image that is being loaded for the first time. Still there in another boot: the node went down meanwhile.
struct Attempt {
  std::string kernel_release;
  std::string version;
  std::string root_hash;
  std::string boot_id;  ///< of the boot that it was begun in
  bool operator==(const Attempt&) const = default;
};

/// An image that failed on this node and was put aside.
struct FailedImage {
  std::string version;
  std::string reason;  ///< reason code
  std::string message;
  uint64_t interruptions = 0;  ///< how often the node went down while it was loaded
  bool operator==(const FailedImage&) const = default;
};

/// An image that took the node down this often is not tried again, even if there is no other.
constexpr uint64_t kMaxInterruptions = 3;

struct State {
  std::map<std::string, GoodImage> good;  ///< by kernel release
  std::optional<Attempt> attempt;
  std::map<std::string, FailedImage> failed;  ///< by root hash
  bool operator==(const State&) const = default;
};

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
