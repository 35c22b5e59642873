#include "provisioner/state.hpp"

#include "base/json.hpp"

namespace driverext {
namespace {

Result<const Json*> object_in(const Json& object, const char* name) {
  if (!object.contains(name)) return nullptr;
  if (!object[name].is_object()) {
    return make_error(Errc::invalid_input, "\"" + std::string(name) + "\" is not an object");
  }
  return &object[name];
}

Result<void> parse_good(const Json& good, State& state) {
  for (const auto& item : good.items()) {
    TRY_VOID(only_members(item.value(), {"driver", "version", "rootHash"}));
    GoodImage image;
    TRY(image.driver, json_string(item.value(), "driver"));
    TRY(image.version, json_string(item.value(), "version"));
    TRY(image.root_hash, json_string(item.value(), "rootHash"));
    state.good.emplace(item.key(), std::move(image));
  }
  return {};
}

Result<void> parse_failed(const Json& failed, State& state) {
  for (const auto& item : failed.items()) {
    TRY_VOID(only_members(item.value(), {"version", "reason", "message", "interruptions"}));
    FailedImage image;
    TRY(image.version, json_string(item.value(), "version"));
    TRY(image.reason, json_string(item.value(), "reason"));
    TRY(image.message, json_string(item.value(), "message"));
    TRY(image.interruptions, json_number(item.value(), "interruptions"));
    state.failed.emplace(item.key(), std::move(image));
  }
  return {};
}

}  // namespace

Result<State> parse_state(std::string_view text) {
  TRY(const Json object, parse_json(text, {.max_size = kMaxStateSize, .max_depth = 4}));
  TRY(const uint64_t format, json_number(object, "format"));
  if (format != 1)
    return make_error(Errc::unsupported, "state format " + std::to_string(format) + " is newer than this driverext");
  TRY_VOID(only_members(object, {"format", "good", "attempt", "failed"}));
  State state;
  TRY(const Json* good, object_in(object, "good"));
  if (good == nullptr) return make_error(Errc::invalid_input, "\"good\" is not an object");
  TRY_VOID(parse_good(*good, state));
  TRY(const Json* attempt, object_in(object, "attempt"));
  if (attempt != nullptr) {
    TRY_VOID(only_members(*attempt, {"kernelRelease", "version", "rootHash", "bootId"}));
    state.attempt.emplace();
    TRY(state.attempt->kernel_release, json_string(*attempt, "kernelRelease"));
    TRY(state.attempt->version, json_string(*attempt, "version"));
    TRY(state.attempt->root_hash, json_string(*attempt, "rootHash"));
    TRY(state.attempt->boot_id, json_string(*attempt, "bootId"));
  }
  TRY(const Json* failed, object_in(object, "failed"));
  if (failed != nullptr) TRY_VOID(parse_failed(*failed, state));
  return state;
}

std::string format_state(const State& state) {
  OrderedJson object = {{"format", 1}, {"good", OrderedJson::object()}};
  for (const auto& [kernel, image] : state.good) {
    object["good"][kernel] = {{"driver", image.driver}, {"version", image.version}, {"rootHash", image.root_hash}};
  }
  if (state.attempt) {
    object["attempt"] = {{"kernelRelease", state.attempt->kernel_release},
                         {"version", state.attempt->version},
                         {"rootHash", state.attempt->root_hash},
                         {"bootId", state.attempt->boot_id}};
  }
  for (const auto& [root_hash, image] : state.failed) {
    object["failed"][root_hash] = {{"version", image.version},
                                   {"reason", image.reason},
                                   {"message", image.message},
                                   {"interruptions", image.interruptions}};
  }
  // Messages can carry bytes of a damaged file: what is not UTF-8 is replaced.
  return object.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

StateFile StateFile::read(const Dir& root) {
  StateFile file(root);
  Result<std::optional<std::string>> text = root.read_if_there(kStateFile, kMaxStateSize);
  // Larger than any that is written here: damaged, as one that cannot be parsed.
  if (!text && text.error().code == Errc::invalid_input) {
    file.is_stale_ = true;
    return file;
  }
  if (!text) {
    file.unreadable_ = std::move(text).error();
    return file;
  }
  if (!*text) return file;
  Result<State> state = parse_state(**text);
  if (state) {
    file.state_ = *std::move(state);
    file.on_disk_ = file.state_;
  } else {
    file.is_newer_ = state.error().code == Errc::unsupported;
    file.is_stale_ = !file.is_newer_;
  }
  return file;
}

Result<void> StateFile::write(State state) {
  // Known from here on, also if the disk does not take it; then the next write tries again.
  state_ = std::move(state);
  if (unreadable_) return *unreadable_;
  if (is_newer_ || (state_ == on_disk_ && !is_stale_)) return {};
  if (state_ == State()) {
    TRY_VOID(root_->remove_file(kStateFile));
  } else {
    TRY_VOID(root_->write_atomic(kStateFile, format_state(state_), 0644));
  }
  on_disk_ = state_;
  is_stale_ = false;
  return {};
}

}  // namespace driverext
