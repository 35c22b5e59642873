#include "toolkit/docker_config.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/json.hpp"
#include "base/text.hpp"
#include "toolkit/edit.hpp"
#include "toolkit/json_scan.hpp"

namespace driverext {
namespace {

constexpr std::string_view kRuntimes = "runtimes";
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// How new text is laid out, taken from what stands around it.
struct Layout {
  std::string newline;  ///< empty: on one line
  std::string indent;   ///< of the members of the object at hand
  std::string unit;     ///< what one level adds
  std::string colon;

  [[nodiscard]] std::string line(const std::string& indentation) const {
    return newline.empty() ? "" : newline + indentation;
  }
  [[nodiscard]] std::string after_comma(const std::string& indentation) const {
    if (!newline.empty()) return newline + indentation;
    return colon.ends_with(' ') ? " " : "";
  }
  [[nodiscard]] Layout deeper() const { return {newline, indent + unit, unit, colon}; }
};

std::string quoted(const std::string& text) { return Json(text).dump(); }

Layout layout_of(std::string_view text, const JsonMember& member, const std::string& parent_indent) {
  Layout layout;
  const std::string_view gap = TextSpan{member.gap, member.name_text.begin}.in(text);
  if (const size_t newline = gap.rfind('\n'); newline != std::string_view::npos) {
    layout.newline = newline > 0 && gap[newline - 1] == '\r' ? "\r\n" : "\n";
    layout.indent = gap.substr(newline + 1);
  }
  const bool deeper = layout.indent.size() > parent_indent.size() && layout.indent.starts_with(parent_indent);
  layout.unit = deeper ? layout.indent.substr(parent_indent.size()) : "  ";
  layout.colon = TextSpan{member.name_text.end, member.value.begin}.in(text);
  if (layout.colon.find('\n') != std::string::npos) layout.colon = ": ";
  return layout;
}

// {"path": PATH, "args": []}; `layout` is that of the object that the entry is a member of.
std::string entry_text(const Layout& layout, const std::string& path) {
  const Layout own = layout.deeper();
  return "{" + own.line(own.indent) + "\"path\"" + own.colon + quoted(path) + "," + own.after_comma(own.indent) +
         "\"args\"" + own.colon + "[]" + layout.line(layout.indent) + "}";
}

// {NAME: entry}; `layout` is that of the object that "runtimes" is a member of.
std::string runtimes_text(const Layout& layout, const std::string& name, const std::string& path) {
  const Layout own = layout.deeper();
  return "{" + own.line(own.indent) + quoted(name) + own.colon + entry_text(own, path) + layout.line(layout.indent) +
         "}";
}

std::string document_text(const Layout& layout, const std::string& name, const std::string& path) {
  return "{" + layout.line(layout.indent) + quoted(std::string(kRuntimes)) + layout.colon +
         runtimes_text(layout, name, path) + layout.line("") + "}";
}

// A member behind the last one of an object that has some.
TextEdit append_member(std::string_view text, const JsonObjectText& object, const Layout& layout,
                       const std::string& member) {
  const JsonMember& last = object.members.back();
  std::string between = layout.after_comma(layout.indent);
  if (layout.newline.empty() && object.members.size() > 1) between = TextSpan{last.gap, last.name_text.begin}.in(text);
  return {{last.value.end, last.value.end}, "," + between + member};
}

// The first member of an object that has none: the white space in it stays, behind ours.
TextEdit first_member(std::string_view text, const JsonObjectText& object, const Layout& layout,
                      const std::string& closing_indent, const std::string& member) {
  const bool has_newline = TextSpan{object.inside, object.close}.in(text).find('\n') != std::string_view::npos;
  return {{object.inside, object.inside},
          layout.line(layout.indent) + member + (has_newline ? "" : layout.line(closing_indent))};
}

// encoding/json matches the members of a struct without regard to case (but not those of a map).
bool is_field(const std::string& name, std::string_view field) {
  return std::equal(name.begin(), name.end(), field.begin(), field.end(), [](char a, char b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return lower(a) == lower(b);
  });
}

// The member that decides a text field, as encoding/json reads it: the last one, but null leaves an earlier one alone.
Result<const JsonMember*> text_field(std::string_view text, const JsonObjectText& object, std::string_view field) {
  const JsonMember* found = nullptr;
  for (const JsonMember& member : object.members) {
    if (!is_field(member.name, field)) continue;
    const std::string_view value = member.value.in(text);
    if (value != "null" && !value.starts_with('"')) {
      return refuse_config(text, member.value.begin, "\"" + std::string(field) + "\" of a runtime is not a string");
    }
    if (found == nullptr || value != "null" || found->value.in(text) == "null") found = &member;
  }
  return found;
}

bool is_set(std::string_view text, const JsonMember* field) {
  return field != nullptr && field->value.in(text) != "null" && field->value.in(text) != "\"\"";
}

// The entry is there: what is to change about it, if anything.
Result<std::optional<TextEdit>> edit_entry(std::string_view text, const JsonMember& entry, const Layout& layout,
                                           const std::string& path) {
  if (entry.value.in(text) == "null") return std::optional(TextEdit{entry.value, entry_text(layout, path)});
  TRY(const JsonObjectText object, scan_json_object(text, entry.value.begin));
  TRY(const JsonMember* path_field, text_field(text, object, "path"));
  TRY(const JsonMember* type_field, text_field(text, object, "runtimeType"));
  if (is_set(text, type_field)) {
    if (!is_set(text, path_field)) return std::optional(TextEdit{entry.value, entry_text(layout, path)});
    return refuse_config(text, entry.value.begin,
                         "runtime \"" + entry.name + "\" has both path and runtimeType, with which dockerd stops");
  }
  if (path_field == nullptr) {
    if (object.members.empty()) return std::optional(TextEdit{entry.value, entry_text(layout, path)});
    const Layout own = layout_of(text, object.members.back(), layout.indent);
    return std::optional(append_member(text, object, own, "\"path\"" + own.colon + quoted(path)));
  }
  if (json_literal_text(path_field->value.in(text)) == path) return std::optional<TextEdit>();
  return std::optional(TextEdit{path_field->value, quoted(path)});
}

// Every "runtimes" must be something that dockerd reads; the last one is the one that counts.
Result<std::vector<const JsonMember*>> find_runtimes(std::string_view text, const JsonObjectText& top) {
  std::vector<const JsonMember*> found;
  for (const JsonMember& member : top.members) {
    if (member.name != kRuntimes) continue;
    found.push_back(&member);
    if (member.value.in(text) == "null") continue;
    if (text[member.value.begin] != '{') {
      return refuse_config(text, member.value.begin, "\"runtimes\" is not an object");
    }
    TRY(const JsonObjectText runtimes, scan_json_object(text, member.value.begin));
    for (const JsonMember& entry : runtimes.members) {
      if (text[entry.value.begin] == '{' || entry.value.in(text) == "null") continue;
      return refuse_config(text, entry.value.begin, "runtime \"" + entry.name + "\" is not an object");
    }
  }
  return found;
}

Result<std::optional<TextEdit>> edit_document(std::string_view text, const JsonObjectText& top, const std::string& name,
                                              const std::string& path) {
  const bool windows = text.find("\r\n") != std::string_view::npos;
  const Layout fallback{windows ? "\r\n" : "\n", "  ", "  ", ": "};
  const auto new_member = [&](const Layout& layout) {
    return quoted(std::string(kRuntimes)) + layout.colon + runtimes_text(layout, name, path);
  };
  if (top.members.empty()) return std::optional(first_member(text, top, fallback, "", new_member(fallback)));

  TRY(const std::vector<const JsonMember*> all, find_runtimes(text, top));
  const bool null = !all.empty() && all.back()->value.in(text) == "null";
  // A null behind another "runtimes" empties that one in dockerd: what we add must stand behind it too.
  if (all.empty() || (null && all.size() > 1)) {
    const Layout layout = layout_of(text, top.members.back(), "");
    return std::optional(append_member(text, top, layout, new_member(layout)));
  }
  const Layout layout = layout_of(text, *all.back(), "");
  if (null) return std::optional(TextEdit{all.back()->value, runtimes_text(layout, name, path)});

  TRY(const JsonObjectText runtimes, scan_json_object(text, all.back()->value.begin));
  if (runtimes.members.empty()) {
    const Layout inner = layout.deeper();
    const std::string member = quoted(name) + inner.colon + entry_text(inner, path);
    return std::optional(first_member(text, runtimes, inner, layout.indent, member));
  }
  const auto entry = std::find_if(runtimes.members.rbegin(), runtimes.members.rend(),
                                  [&](const JsonMember& member) { return member.name == name; });
  if (entry != runtimes.members.rend()) {
    return edit_entry(text, *entry, layout_of(text, *entry, layout.indent), path);
  }
  const Layout inner = layout_of(text, runtimes.members.back(), layout.indent);
  return std::optional(append_member(text, runtimes, inner, quoted(name) + inner.colon + entry_text(inner, path)));
}

// dockerd takes off a byte order mark, and then whatever Unicode calls white space at both ends (bytes.TrimSpace).
TextSpan body_of(std::string_view text) {
  constexpr std::array<std::string_view, 25> kSpace = {
      " ",      "\t",     "\n",     "\v",     "\f",     "\r",     "\u0085", "\u00a0", "\u1680",
      "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008",
      "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
  TextSpan body{text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0, text.size()};
  const auto trimmed = [&](auto&& matches, auto&& cut) {
    const auto* const space = std::find_if(kSpace.begin(), kSpace.end(), matches);
    if (space != kSpace.end()) cut(space->size());
    return space != kSpace.end();
  };
  while (trimmed([&](std::string_view space) { return body.in(text).starts_with(space); },
                 [&](size_t size) { body.begin += size; })) {
  }
  while (trimmed([&](std::string_view space) { return body.in(text).ends_with(space); },
                 [&](size_t size) { body.end -= size; })) {
  }
  return body;
}

// For nlohmann-json, which is stricter than Go about text: bytes become the characters of the same number, and half
// surrogates the six characters that they are written with.
Json parse_for_comparison(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x80) {
      plain += static_cast<char>(0xc0 | (byte >> 6));
      plain += static_cast<char>(0x80 | (byte & 0x3f));
    } else if (byte == '\\' && i + 3 < text.size()) {
      const bool surrogate = text[i + 1] == 'u' && (text[i + 2] == 'd' || text[i + 2] == 'D') && text[i + 3] >= '8';
      plain += surrogate ? "\\\\" : "\\";
      plain += text[++i];
    } else {
      plain += text[i];
    }
  }
  return Json::parse(plain, nullptr, /*allow_exceptions=*/false);
}

Json without_path(Json entry) {
  for (auto it = entry.begin(); it != entry.end();) it = is_field(it.key(), "path") ? entry.erase(it) : std::next(it);
  return entry;
}

// The judge over the edit: another parser, which must see one entry changed and nothing else.
Result<void> check_difference(std::string_view before_text, std::string_view after_text, const std::string& name,
                              const std::string& path) {
  Json before = before_text.empty() ? Json::object() : parse_for_comparison(before_text);
  Json after = parse_for_comparison(after_text);
  if (before.is_null()) before = Json::object();
  if (!before.is_object() || !after.is_object()) return refuse_edit("the edited configuration is no JSON object");
  Json& old_runtimes = before[std::string(kRuntimes)];
  Json& new_runtimes = after[std::string(kRuntimes)];
  if (old_runtimes.is_null()) old_runtimes = Json::object();
  if (!old_runtimes.is_object() || !new_runtimes.is_object()) return refuse_edit("\"runtimes\" is no object");

  const Json ours = {{"path", parse_for_comparison(quoted(path))}, {"args", Json::array()}};
  const Json new_entry = new_runtimes.value(name, Json());
  const Json old_entry = old_runtimes.value(name, Json());
  const bool path_changed =
      new_entry.is_object() && old_entry.is_object() && without_path(new_entry) == without_path(old_entry) &&
      std::any_of(new_entry.begin(), new_entry.end(), [&](const Json& member) { return member == ours["path"]; });
  if (new_entry != ours && !path_changed) return refuse_edit("the runtime's entry is not what it should be");
  old_runtimes.erase(name);
  new_runtimes.erase(name);
  if (before != after) return refuse_edit("the edit changed more than the runtime's entry");
  return {};
}

Result<void> check_arguments(const std::string& name, const std::string& path) {
  TRY_VOID(check_name("runtime name", name));
  if (name == "runc") return make_error(Errc::invalid_input, "\"runc\" is dockerd's own runtime");
  TRY_VOID(check_config_value("runtime path", path));
  if (!path.starts_with('/')) return make_error(Errc::invalid_input, "runtime path \"" + path + "\" is not absolute");
  return {};
}

}  // namespace

Result<std::string> with_docker_runtime(std::string_view daemon_json, const std::string& name,
                                        const std::string& path) {
  TRY_VOID(check_arguments(name, path));
  TRY_VOID(check_config_size(daemon_json));
  const TextSpan body = body_of(daemon_json);
  const std::string_view text = daemon_json.substr(0, body.end);  // positions in it are those of the file

  std::optional<TextEdit> edit;
  const Layout fallback{text.find("\r\n") != std::string_view::npos ? "\r\n" : "\n", "  ", "  ", ": "};
  if (body.empty()) {
    // In front of the white space that is there, so that the file ends with a line break.
    const size_t at = daemon_json.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
    edit = TextEdit{{at, at}, document_text(fallback, name, path) + (daemon_json.ends_with('\n') ? "" : "\n")};
  } else {
    TRY(const TextSpan value, scan_json(text, body.begin));
    if (value.in(text) == "null") {
      edit = TextEdit{value, document_text(fallback, name, path)};
    } else if (text[value.begin] != '{') {
      return refuse_config(text, value.begin, "not a JSON object");
    } else {
      TRY(const JsonObjectText top, scan_json_object(text, value.begin));
      TRY(edit, edit_document(text, top, name, path));
    }
  }
  if (!edit) return std::string(daemon_json);
  std::string result = apply_edit(daemon_json, *edit);
  TRY_VOID(check_config_size(result));
  TRY_VOID(check_difference(body.in(daemon_json), body_of(result).in(result), name, path));
  return result;
}

}  // namespace driverext
