#include "provisioner/selection/wish.hpp"

#include "base/text.hpp"

namespace driverext {
namespace {
constexpr std::string_view kAnyOfBranch = ".*";
}

bool VersionWish::allows(std::string_view version) const {
  switch (kind) {
    case Kind::latest:
    case Kind::pinned:
      return true;
    case Kind::branch:
      return version == text || (version.starts_with(text) && version[text.size()] == '.');
    case Kind::exact:
      return version == text;
  }
  return false;
}

Result<VersionWish> parse_version_wish(const std::string& text) {
  if (text == "latest") return VersionWish{};
  if (text == "pinned") return VersionWish{VersionWish::Kind::pinned, {}};
  const bool is_pattern = text.ends_with(kAnyOfBranch);
  const std::string name = is_pattern ? text.substr(0, text.size() - kAnyOfBranch.size()) : text;
  if (const Result<void> fine = check_name("version", name); !fine) {
    return make_error(
        Errc::invalid_input,
        "\"version\" is not latest, pinned, a branch like 580 or 0.15.*, or a version like 580.159.04: \"" +
            printable(text) + "\"");
  }
  const bool is_branch = is_pattern || name.find('.') == std::string::npos;
  return VersionWish{is_branch ? VersionWish::Kind::branch : VersionWish::Kind::exact, name};
}

std::string wish_text(const VersionWish& wish) {
  switch (wish.kind) {
    case VersionWish::Kind::latest:
      return "the latest";
    case VersionWish::Kind::branch:
      return "branch " + wish.text;
    case VersionWish::Kind::exact:
      return "version " + wish.text;
    case VersionWish::Kind::pinned:
      return "the pinned one";
  }
  return "?";
}

}  // namespace driverext
