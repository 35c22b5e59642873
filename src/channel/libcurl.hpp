// libcurl, loaded when something is fetched: the two dozen libraries behind it would cost each other verb its start-up
// time.
#pragma once

#include <curl/curl.h>

#include "base/result.hpp"

namespace driverext {

/// The functions that are used, as its header declares them.
struct LibCurl {
  decltype(&::curl_easy_init) init = nullptr;
  decltype(&::curl_easy_cleanup) cleanup = nullptr;
  decltype(&::curl_easy_reset) reset = nullptr;
  decltype(&::curl_easy_setopt) setopt = nullptr;
  decltype(&::curl_easy_getinfo) getinfo = nullptr;
  decltype(&::curl_easy_header) header = nullptr;
  decltype(&::curl_easy_perform) perform = nullptr;
  decltype(&::curl_easy_strerror) strerror = nullptr;
};

/// Loaded and initialized once, and kept. Errors: Errc::unsupported where it is not installed or too old.
Result<const LibCurl*> load_libcurl();

}  // namespace driverext
