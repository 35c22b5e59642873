#include "base/json.hpp"

#include <algorithm>
#include <set>

namespace driverext {
namespace {

// Builds the value through nlohmann's own DOM builder, but looks at the keys and the depth first.
class StrictSax : public nlohmann::detail::json_sax_dom_parser<Json> {
  using Base = nlohmann::detail::json_sax_dom_parser<Json>;

 public:
  StrictSax(Json& out, JsonLimits limits) : Base(out, /*allow_exceptions_=*/false), limits_(limits) {}

  bool start_object(std::size_t count) {
    if (!descend()) return false;
    keys_.emplace_back();
    return Base::start_object(count);
  }
  bool end_object() {
    --depth_;
    keys_.pop_back();
    return Base::end_object();
  }
  bool start_array(std::size_t count) { return descend() && Base::start_array(count); }
  bool end_array() {
    --depth_;
    return Base::end_array();
  }
  bool key(std::string& name) {
    if (!keys_.back().insert(name).second) {
      problem_ = "member \"" + name + "\" stands there twice";
      return false;
    }
    return Base::key(name);
  }
  bool parse_error(std::size_t position, const std::string& /*token*/, const nlohmann::detail::exception& /*error*/) {
    problem_ = "not JSON at byte " + std::to_string(position);
    return false;
  }

  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  bool descend() {
    if (++depth_ <= limits_.max_depth) return true;
    problem_ = "nested more than " + std::to_string(limits_.max_depth) + " levels deep";
    return false;
  }

  JsonLimits limits_;
  int depth_ = 0;
  std::vector<std::set<std::string>> keys_;
  std::string problem_;
};

Result<const Json*> member(const Json& object, std::string_view name) {
  if (!object.is_object()) return make_error(Errc::invalid_input, "not a JSON object");
  const auto it = object.find(name);
  if (it == object.end()) {
    return make_error(Errc::invalid_input, "member \"" + std::string(name) + "\" is missing");
  }
  return &*it;
}

}  // namespace

Result<Json> parse_json(std::string_view text, JsonLimits limits) {
  if (text.size() > limits.max_size) {
    return make_error(Errc::invalid_input, "JSON of " + std::to_string(text.size()) + " bytes; at most " +
                                               std::to_string(limits.max_size) + " are accepted");
  }
  // nlohmann-json takes a NUL for the end of the text and never looks at what stands behind it.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return make_error(Errc::invalid_input, "not JSON at byte " + std::to_string(nul + 1) + ": NUL");
  }
  // It would also skip a byte order mark, which other readers take for an error.
  if (text.starts_with("\xef\xbb\xbf")) {
    return make_error(Errc::invalid_input, "not JSON at byte 1: a byte order mark");
  }
  Json value;
  StrictSax sax(value, limits);
  if (!Json::sax_parse(text, &sax)) {
    return make_error(Errc::invalid_input, sax.problem().empty() ? "not JSON" : sax.problem());
  }
  return value;
}

Result<void> only_members(const Json& object, std::span<const std::string_view> known) {
  if (!object.is_object()) return make_error(Errc::invalid_input, "not a JSON object");
  for (const auto& item : object.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) {
      return make_error(Errc::invalid_input, "unknown member \"" + item.key() + "\"");
    }
  }
  return {};
}

Result<std::string> json_string(const Json& object, std::string_view name) {
  TRY(const Json* value, member(object, name));
  if (!value->is_string()) {
    return make_error(Errc::invalid_input, "member \"" + std::string(name) + "\" is not a string");
  }
  return value->get<std::string>();
}

Result<uint64_t> json_number(const Json& object, std::string_view name) {
  TRY(const Json* value, member(object, name));
  if (!value->is_number_unsigned()) {
    return make_error(Errc::invalid_input, "member \"" + std::string(name) + "\" is not a whole number");
  }
  return value->get<uint64_t>();
}

Result<std::string> json_optional_string(const Json& object, std::string_view name) {
  if (object.is_object() && !object.contains(name)) return std::string();
  return json_string(object, name);
}

}  // namespace driverext
