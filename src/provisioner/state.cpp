#include "provisioner/state.hpp"

#include <algorithm>

#include "base/json.hpp"

namespace driverext {
namespace {

constexpr uint64_t kFormat = 2;
constexpr int kMaxDepth = 6;
// A node that fails for years with ever new images forgets the oldest failures.
constexpr size_t kMaxFailed = 128;

Result<const Json*> object_in(const Json& object, const char* name) {
  if (!object.contains(name)) return nullptr;
  if (!object[name].is_object()) {
    return make_error(Errc::invalid_input, "\"" + std::string(name) + "\" is not an object");
  }
  return &object[name];
}

// Absent in files that know no times.
Result<int64_t> time_in(const Json& object) {
  if (!object.contains("time")) return 0;
  TRY(const uint64_t time, json_number(object, "time"));
  return static_cast<int64_t>(std::min<uint64_t>(time, INT64_MAX));
}

Result<GoodImage> parse_good(const Json& object) {
  TRY_VOID(only_members(object, {"driver", "version", "rootHash", "time"}));
  GoodImage image;
  TRY(image.driver, json_string(object, "driver"));
  TRY(image.version, json_string(object, "version"));
  TRY(image.root_hash, json_string(object, "rootHash"));
  TRY(image.time, time_in(object));
  return image;
}

Result<Attempt> parse_attempt(const Json& object) {
  Attempt attempt;
  TRY(attempt.version, json_string(object, "version"));
  TRY(attempt.root_hash, json_string(object, "rootHash"));
  TRY(attempt.boot_id, json_string(object, "bootId"));
  TRY(attempt.time, time_in(object));
  return attempt;
}

// `attempts` is the name of the member that counts.
Result<FailedImage> parse_failed(const Json& object, const char* attempts) {
  TRY_VOID(only_members(object, {"version", "reason", "message", attempts, "time"}));
  FailedImage image;
  TRY(image.version, json_string(object, "version"));
  TRY(image.reason, json_string(object, "reason"));
  TRY(image.message, json_string(object, "message"));
  TRY(image.attempts, json_number(object, attempts));
  TRY(image.time, time_in(object));
  return image;
}

Result<KernelMemory> parse_kernel(const Json& object) {
  TRY_VOID(only_members(object, {"good", "attempt", "failed"}));
  KernelMemory kernel;
  if (object.contains("good")) {
    if (!object["good"].is_array()) return make_error(Errc::invalid_input, "\"good\" is not a list");
    for (const Json& entry : object["good"]) {
      TRY(GoodImage image, parse_good(entry));
      kernel.good.push_back(std::move(image));
    }
  }
  TRY(const Json* attempt, object_in(object, "attempt"));
  if (attempt != nullptr) {
    TRY_VOID(only_members(*attempt, {"version", "rootHash", "bootId", "time"}));
    TRY(kernel.attempt, parse_attempt(*attempt));
  }
  TRY(const Json* failed, object_in(object, "failed"));
  if (failed == nullptr) return kernel;
  for (const auto& item : failed->items()) {
    TRY(FailedImage image, parse_failed(item.value(), "attempts"));
    kernel.failed.emplace(item.key(), std::move(image));
  }
  return kernel;
}

Result<State> parse_format_1(const Json& object) {
  TRY_VOID(only_members(object, {"format", "good", "attempt", "failed"}));
  State state;
  TRY(const Json* good, object_in(object, "good"));
  if (good == nullptr) return make_error(Errc::invalid_input, "\"good\" is not an object");
  for (const auto& item : good->items()) {
    TRY(GoodImage image, parse_good(item.value()));
    state.kernels[item.key()].good.push_back(std::move(image));
  }
  TRY(const Json* attempt, object_in(object, "attempt"));
  if (attempt != nullptr) {
    TRY_VOID(only_members(*attempt, {"kernelRelease", "version", "rootHash", "bootId"}));
    TRY(const std::string kernel_release, json_string(*attempt, "kernelRelease"));
    TRY(state.kernels[kernel_release].attempt, parse_attempt(*attempt));
  }
  TRY(const Json* failed, object_in(object, "failed"));
  if (failed == nullptr) return state;
  for (const auto& item : failed->items()) {
    TRY(FailedImage image, parse_failed(item.value(), "interruptions"));
    image.attempts = std::max<uint64_t>(image.attempts, 1);
    for (auto& [release, kernel] : state.kernels) kernel.failed.emplace(item.key(), image);
  }
  return state;
}

Result<Pin> parse_pin(const Json& object) {
  TRY_VOID(only_members(object, {"driver", "version", "rootHash"}));
  Pin pin;
  TRY(pin.driver, json_string(object, "driver"));
  TRY(pin.version, json_string(object, "version"));
  TRY(pin.root_hash, json_optional_string(object, "rootHash"));
  return pin;
}

template <class T>
void add_time(OrderedJson& object, const T& of) {
  if (of.time > 0) object["time"] = of.time;
}

OrderedJson kernel_to_json(const KernelMemory& kernel) {
  OrderedJson object = OrderedJson::object();
  for (const GoodImage& image : kernel.good) {
    OrderedJson entry = {{"driver", image.driver}, {"version", image.version}, {"rootHash", image.root_hash}};
    add_time(entry, image);
    object["good"].push_back(std::move(entry));
  }
  if (kernel.attempt) {
    object["attempt"] = {{"version", kernel.attempt->version},
                         {"rootHash", kernel.attempt->root_hash},
                         {"bootId", kernel.attempt->boot_id}};
    add_time(object["attempt"], *kernel.attempt);
  }
  for (const auto& [root_hash, image] : kernel.failed) {
    object["failed"][root_hash] = {
        {"version", image.version}, {"reason", image.reason}, {"message", image.message}, {"attempts", image.attempts}};
    add_time(object["failed"][root_hash], image);
  }
  return object;
}

}  // namespace

bool FailedImage::is_put_aside() const { return attempts >= kMaxAttempts; }

bool KernelMemory::is_good(const std::string& root_hash) const {
  return std::any_of(good.begin(), good.end(), [&](const GoodImage& image) { return image.root_hash == root_hash; });
}

const FailedImage* KernelMemory::failure_of(const std::string& root_hash) const {
  const auto found = failed.find(root_hash);
  return found == failed.end() ? nullptr : &found->second;
}

bool KernelMemory::is_doubtful(const std::string& root_hash) const {
  return failure_of(root_hash) != nullptr && !is_good(root_hash);
}

void KernelMemory::remember_good(GoodImage image) {
  failed.erase(image.root_hash);
  attempt.reset();
  const auto known = std::find_if(good.begin(), good.end(),
                                  [&](const GoodImage& other) { return other.root_hash == image.root_hash; });
  if (known != good.end()) {
    image.time = known->time;
    good.erase(known);
  }
  good.insert(good.begin(), std::move(image));
  if (good.size() > kMaxGood) good.resize(kMaxGood);
}

void KernelMemory::remember_failure(const std::string& root_hash, const std::string& version, std::string reason,
                                    std::string message, int64_t time) {
  FailedImage& image = failed[root_hash];
  image.version = version;
  image.reason = std::move(reason);
  image.message = std::move(message);
  image.time = time;
  ++image.attempts;
  if (image.is_put_aside()) {
    std::erase_if(good, [&](const GoodImage& other) { return other.root_hash == root_hash; });
  }
  if (failed.size() <= kMaxFailed) return;
  // Not this one, whatever the clock says.
  failed.erase(std::min_element(failed.begin(), failed.end(), [&](const auto& a, const auto& b) {
    const bool a_is_new = a.first == root_hash;
    const bool b_is_new = b.first == root_hash;
    return a_is_new != b_is_new ? b_is_new : a.second.time < b.second.time;
  }));
}

const KernelMemory& State::of(const std::string& kernel_release) const {
  static const KernelMemory kNothing;
  const auto found = kernels.find(kernel_release);
  return found == kernels.end() ? kNothing : found->second;
}

Result<State> parse_state(std::string_view text) {
  TRY(const Json object, parse_json(text, {.max_size = kMaxStateSize, .max_depth = kMaxDepth}));
  TRY(const uint64_t format, json_number(object, "format"));
  if (format == 1) return parse_format_1(object);
  if (format != kFormat)
    return make_error(Errc::unsupported, "state format " + std::to_string(format) + " is newer than this driverext");
  TRY_VOID(only_members(object, {"format", "kernels", "pin"}));
  State state;
  TRY(const Json* kernels, object_in(object, "kernels"));
  if (kernels == nullptr) return make_error(Errc::invalid_input, "\"kernels\" is not an object");
  for (const auto& item : kernels->items()) {
    TRY(KernelMemory kernel, parse_kernel(item.value()));
    state.kernels.emplace(item.key(), std::move(kernel));
  }
  TRY(const Json* pin, object_in(object, "pin"));
  if (pin != nullptr) {
    TRY(state.pin, parse_pin(*pin));
  }
  return state;
}

std::string format_state(const State& state) {
  OrderedJson object = {{"format", kFormat}, {"kernels", OrderedJson::object()}};
  for (const auto& [release, kernel] : state.kernels) {
    if (kernel == KernelMemory()) continue;
    object["kernels"][release] = kernel_to_json(kernel);
  }
  if (state.pin) {
    object["pin"] = {{"driver", state.pin->driver}, {"version", state.pin->version}};
    if (!state.pin->root_hash.empty()) object["pin"]["rootHash"] = state.pin->root_hash;
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
