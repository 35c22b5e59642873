#include "sysext/manifest_member.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/json.hpp"
#include "base/text.hpp"

namespace driverext {

Result<void> check_text(std::string_view what, std::string_view text, size_t max_size) {
  const bool fine =
      text.size() <= max_size && std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (fine) return {};
  return make_error(Errc::invalid_input,
                    std::string(what) + " is longer than " + std::to_string(max_size) + " or not printable");
}

Result<void> check_hex(std::string_view what, std::string_view text, size_t digits) {
  if (text.size() == digits && from_hex(text)) return {};
  return make_error(Errc::invalid_input, std::string(what) + " is not " + std::to_string(digits) + " hex digits");
}

Result<std::string> optional_name(const Json& object, const char* member) {
  TRY(std::string name, json_optional_string(object, member));
  if (object.contains(member)) TRY_VOID(check_name(member, name));
  return name;
}

Result<std::string> optional_text(const Json& object, const char* member, size_t max_size) {
  TRY(std::string text, json_optional_string(object, member));
  if (object.contains(member) && text.empty()) {
    return make_error(Errc::invalid_input, "member \"" + std::string(member) + "\" is there, but empty");
  }
  TRY_VOID(check_text(member, text, max_size));
  return text;
}

Result<std::vector<std::string>> optional_texts(const Json& object, const char* member) {
  std::vector<std::string> texts;
  if (!object.contains(member)) return texts;
  TRY(const Json* list, filled_list(object, member, kMaxEntries));
  for (const Json& entry : *list) {
    if (!entry.is_string() || entry.get_ref<const std::string&>().empty()) {
      return make_error(Errc::invalid_input, "\"" + std::string(member) + "\" holds something else than text");
    }
    texts.push_back(entry.get<std::string>());
    TRY_VOID(check_text(member, texts.back(), kMaxLongText));
  }
  return texts;
}

Result<const Json*> filled_list(const Json& object, const char* member, size_t max_count) {
  const auto found = object.find(member);
  if (found == object.end() || !found->is_array() || found->empty() || found->size() > max_count) {
    return make_error(Errc::invalid_input, "\"" + std::string(member) + "\" is not a list of 1 to " +
                                               std::to_string(max_count) + " entries");
  }
  return &*found;
}

}  // namespace driverext
