#include "provisioner/management.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.hpp"

namespace driverext {
namespace {

constexpr size_t kMinHashPrefix = 8;
constexpr size_t kRootHashDigits = 64;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

bool can_begin_a_hash(const std::string& text) {
  return text.size() >= kMinHashPrefix && text.size() <= kRootHashDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// Dates are versions of eight digits too; what has a letter in it, or is this long, is no date.
bool must_be_a_hash(const std::string& text) {
  return can_begin_a_hash(text) && (text.size() > 2 * kMinHashPrefix || text.find_first_of("abcdef") != text.npos);
}

struct NamedImages {
  std::string version;
  std::string root_hash;  // empty: every image of that version
};

// `known`: version by root hash. A version that is spelled so comes before a root hash that begins so.
Result<NamedImages> find_by_name(const std::map<std::string, std::string>& known, const std::string& text,
                                 const std::string& where) {
  const bool is_version =
      std::any_of(known.begin(), known.end(), [&](const auto& entry) { return entry.second == text; });
  if (is_version) return NamedImages{text, {}};
  const std::string digits = lower(text);
  if (can_begin_a_hash(digits)) {
    const auto begins_so = [&](const auto& entry) { return entry.first.starts_with(digits); };
    const auto found = std::find_if(known.begin(), known.end(), begins_so);
    if (std::count_if(known.begin(), known.end(), begins_so) > 1) {
      return make_error(Errc::invalid_input,
                        "the root hashes of several images begin with " + text + "; give more digits of it");
    }
    if (found != known.end()) return NamedImages{found->second, found->first};
  }
  return make_error(Errc::not_found, where + " " + text);
}

std::map<std::string, std::string> loadable_images(const Survey& node) {
  std::map<std::string, std::string> known;
  for (const KnownImage& image : node.inventory.images) {
    const ImageIdentity& identity = image.identity();
    if (identity.driver == node.config.driver && identity.is_loadable()) {
      known.emplace(identity.root_hash, identity.version);
    }
  }
  return known;
}

bool is_meant(const NamedImages& named, const std::string& root_hash, const std::string& version) {
  return named.root_hash.empty() ? version == named.version : root_hash == named.root_hash;
}

std::vector<RememberedFailure> forget(State& state, const NamedImages& named, const std::string& kernel_release) {
  std::vector<RememberedFailure> forgotten;
  for (auto& [release, memory] : state.kernels) {
    if (!kernel_release.empty() && release != kernel_release) continue;
    for (auto entry = memory.failed.begin(); entry != memory.failed.end();) {
      if (is_meant(named, entry->first, entry->second.version)) {
        forgotten.push_back({release, entry->first, entry->second});
        entry = memory.failed.erase(entry);
      } else {
        ++entry;
      }
    }
  }
  return forgotten;
}

}  // namespace

std::string short_hash(const std::string& root_hash) {
  constexpr size_t kShownDigits = 12;
  return root_hash.substr(0, kShownDigits);
}

Standing standing_of(const State& state, const std::string& kernel_release, const std::string& running,
                     const ImageIdentity& image) {
  Standing standing;
  standing.is_running = !running.empty() && image.root_hash == running;
  const KernelMemory& memory = state.of(kernel_release);
  standing.is_good = memory.is_good(image.root_hash);
  standing.is_last_good = standing.is_good && memory.good.front().root_hash == image.root_hash;
  standing.failed = memory.failure_of(image.root_hash);
  const std::optional<Pin>& pin = state.pin;
  standing.is_pinned = pin && pin->driver == image.driver && image.is_loadable() &&
                       (pin->root_hash.empty() ? pin->version == image.version : pin->root_hash == image.root_hash);
  return standing;
}

std::string standing_text(const Standing& standing) {
  std::string text;
  const auto add = [&](const std::string& words) { text += (text.empty() ? "" : ", ") + words; };
  if (standing.is_running) add("running");
  if (standing.is_good) add(standing.is_last_good ? "last good" : "good");
  if (standing.failed != nullptr) {
    const FailedImage& failed = *standing.failed;
    const std::string when = failed.time > 0 ? ", " + utc_text(failed.time) : "";
    add((failed.is_put_aside() ? "put aside (" : "failed once (") + printable(failed.reason) + when + ")");
  }
  if (standing.is_pinned) add("pinned");
  return text;
}

std::vector<RememberedFailure> all_failures(const State& state) {
  std::vector<RememberedFailure> failures;
  for (const auto& [release, memory] : state.kernels) {
    for (const auto& [root_hash, failure] : memory.failed) failures.push_back({release, root_hash, failure});
  }
  return failures;
}

Choice choice_at_boot(const Survey& node, const State& state) {
  static const std::set<std::string> kNothingTried;
  static const std::string kNothingRuns;
  return choose_image({node.facts, node.config, node.definition, node.inventory, state, kNothingTried,
                       node.has_firmware, kNothingRuns});
}

Result<Pin> pin_for(const Survey& node, const std::string& text, Insistence insistence) {
  TRY_VOID(check_name("version or root hash", text));
  Result<NamedImages> named = find_by_name(loadable_images(node), text, "this node has no image of");
  if (named) return Pin{node.config.driver, named->version, named->root_hash};
  if (named.error().code != Errc::not_found) return std::move(named).error();
  if (must_be_a_hash(lower(text))) {
    return make_error(Errc::not_found, "this node has no image whose root hash begins with " + text +
                                           "; put it into /var/lib/driverext/inbox, or see: driverext list");
  }
  if (node.config.channel_url.empty() && insistence == Insistence::none) {
    return make_error(Errc::not_found,
                      "this node has no image of " + node.config.driver + " " + text +
                          ", and no channel that could bring one; see driverext list, or pin it all the same: --force");
  }
  return Pin{node.config.driver, text, {}};
}

bool is_here(const Survey& node, const Pin& pin) {
  const std::map<std::string, std::string> known = loadable_images(node);
  return std::any_of(known.begin(), known.end(), [&](const auto& entry) {
    return is_meant({pin.version, pin.root_hash}, entry.first, entry.second);
  });
}

State with_pin(State state, Pin pin) {
  forget(state, {pin.version, pin.root_hash}, {});
  state.pin = std::move(pin);
  return state;
}

Result<RollbackDecision> decide_rollback(const Survey& node, int64_t now, Insistence insistence) {
  const std::string& release = node.facts.kernel_release;
  const KernelMemory& memory = node.state.of(release);
  const auto in_use = std::find_if(memory.good.begin(), memory.good.end(),
                                   [&](const GoodImage& good) { return good.driver == node.config.driver; });
  if (in_use == memory.good.end()) {
    return make_error(Errc::not_found, "no image of " + node.config.driver + " was good on " + release +
                                           " yet, so there is nothing to roll back");
  }
  RollbackDecision decision;
  decision.image = *in_use;
  const std::string name = in_use->version + " (" + short_hash(in_use->root_hash) + ")";
  const std::optional<Pin>& pin = node.state.pin;
  if (pin && pin->driver == in_use->driver && pin->root_hash == in_use->root_hash) {
    return make_error(Errc::conflict, name + " is pinned; first run: driverext pin --none");
  }
  decision.state = node.state;
  KernelMemory& changed = decision.state.kernels[release];
  changed.remember_failure(decision.image.root_hash, decision.image.version,
                           std::string(reason_info(Reason::rolled_back).code), "put aside with driverext rollback",
                           now);
  changed.failed[decision.image.root_hash].attempts = kMaxAttempts;
  decision.next = choice_at_boot(node, decision.state);
  if (decision.next.image || insistence == Insistence::force) return decision;
  std::string why = "without " + name + " this node would have no driver on " + release;
  if (decision.next.nearest) {
    const NearMiss& nearest = *decision.next.nearest;
    const ImageIdentity& image = node.inventory.images[nearest.image].identity();
    const bool is_itself = image.root_hash == decision.image.root_hash;
    if (!is_itself) why += "; the next is " + image.version + ", but " + nearest.finding.sentence;
  }
  return make_error(Errc::not_found, Reason::no_image_for_kernel, why + "; to put it aside all the same, add --force");
}

Result<RetryDecision> decide_retry(const State& state, const std::string& text, const std::string& kernel_release) {
  std::map<std::string, std::string> failed;
  std::string elsewhere;
  for (const RememberedFailure& failure : all_failures(state)) {
    if (kernel_release.empty() || failure.kernel_release == kernel_release) {
      failed.emplace(failure.root_hash, failure.failure.version);
    } else if (failure.failure.version == text || failure.root_hash.starts_with(lower(text))) {
      elsewhere = failure.kernel_release;
    }
  }
  const std::string where =
      kernel_release.empty() ? "on no kernel has failed" : "on " + kernel_release + " nothing has failed of";
  Result<NamedImages> named = find_by_name(failed, text, where);
  if (!named) {
    if (named.error().code == Errc::not_found) {
      named.error().what += elsewhere.empty()
                                ? "; see: driverext list --aside"
                                : ", but on " + elsewhere + ": add --kernel=" + elsewhere + " or --all-kernels";
    }
    return std::move(named).error();
  }
  RetryDecision decision;
  decision.state = state;
  decision.forgotten = forget(decision.state, *named, kernel_release);
  return decision;
}

Result<void> write_memory(const Dir& root, State state) {
  const std::string wanted = format_state(state);
  StateFile file = StateFile::read(root);
  TRY_VOID(file.write(std::move(state)));
  if (format_state(StateFile::read(root).state()) == wanted) return {};
  return make_error(Errc::unsupported, root.path_of(kStateFile) +
                                           " was written by a newer driverext and is left alone; use that one, or "
                                           "remove the file");
}

}  // namespace driverext
