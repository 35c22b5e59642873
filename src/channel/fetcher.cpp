#include "channel/fetcher.hpp"

#include <algorithm>

namespace driverext {

Result<void> check_channel_url(std::string_view url) {
  const auto refuse = [&](const char* why) {
    return make_error(Errc::invalid_input, Reason::config_invalid,
                      "channel URL \"" + std::string(url.substr(0, 256)) + "\" " + why);
  };
  const size_t scheme_end = url.find("://");
  const std::string_view scheme = url.substr(0, std::min(scheme_end, url.size()));
  if (scheme != "http" && scheme != "https") return refuse("does not begin with http:// or https://");
  if (url.size() > 2048) return refuse("is longer than 2048 characters");
  if (!std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f; })) {
    return refuse("holds something that is not a printable character");
  }
  // Files are named by what is added to it.
  if (url.find_first_of("?#") != std::string_view::npos) return refuse("has a query or a fragment");
  const std::string_view rest = url.substr(scheme_end + 3);
  const std::string_view host = rest.substr(0, rest.find('/'));
  if (host.empty()) return refuse("names no host");
  // It would show in every message; images and index are public, their signatures are what counts.
  if (host.find('@') != std::string_view::npos) return refuse("holds a user name");
  return {};
}

std::string url_of(std::string_view url, std::string_view file) {
  while (url.ends_with('/')) url.remove_suffix(1);
  return std::string(url) + "/" + std::string(file);
}

}  // namespace driverext
