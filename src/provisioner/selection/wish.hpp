// What versions of a driver a node wants.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace driverext {

/// flavor = "auto"
inline constexpr std::string_view kAnyFlavor = "auto";

struct VersionWish {
  enum class Kind {
    latest,
    branch,  ///< versions that are `text`, or begin with it and a dot
    exact,   ///< `text` itself
    pinned,  ///< what this node has had before, or was told by `driverext pin`; the latest until there is one
  };
  Kind kind = Kind::latest;
  std::string text;
  bool operator==(const VersionWish&) const = default;

  /// Of `latest` and `pinned` every version is one; the pin is not known here.
  [[nodiscard]] bool allows(std::string_view version) const;
};

/// "latest", "pinned", a branch ("580", or "0.15.*"), or a whole version ("580.159.04"). Errors: Errc::invalid_input.
Result<VersionWish> parse_version_wish(const std::string& text);
/// For people: "branch 580".
std::string wish_text(const VersionWish& wish);

}  // namespace driverext
