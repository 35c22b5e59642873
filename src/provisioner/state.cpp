#include "provisioner/state.hpp"

#include "base/json.hpp"

namespace driverext {

Result<State> parse_state(std::string_view text) {
  TRY(const Json object, parse_json(text, {.max_size = kMaxStateSize, .max_depth = 4}));
  TRY_VOID(only_members(object, {"format", "good"}));
  TRY(const uint64_t format, json_number(object, "format"));
  if (format != 1)
    return make_error(Errc::unsupported, "state format " + std::to_string(format) + " is newer than this driverext");
  State state;
  if (!object.contains("good") || !object["good"].is_object())
    return make_error(Errc::invalid_input, "\"good\" is not an object");
  for (const auto& item : object["good"].items()) {
    TRY_VOID(only_members(item.value(), {"driver", "version", "rootHash"}));
    GoodImage image;
    TRY(image.driver, json_string(item.value(), "driver"));
    TRY(image.version, json_string(item.value(), "version"));
    TRY(image.root_hash, json_string(item.value(), "rootHash"));
    state.good.emplace(item.key(), std::move(image));
  }
  return state;
}

std::string format_state(const State& state) {
  OrderedJson good = OrderedJson::object();
  for (const auto& [kernel, image] : state.good) {
    good[kernel] = {{"driver", image.driver}, {"version", image.version}, {"rootHash", image.root_hash}};
  }
  return OrderedJson{{"format", 1}, {"good", good}}.dump(2) + "\n";
}

}  // namespace driverext
