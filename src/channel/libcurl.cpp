#include "channel/libcurl.hpp"

#include "sys/shared_library.hpp"

namespace driverext {
namespace {

// The name of its binary interface since 2006.
constexpr const char* kFile = "libcurl.so.4";

Result<LibCurl> load() {
  const Result<SharedLibrary> library = SharedLibrary::load(kFile);
  if (!library) {
    return make_error(Errc::unsupported, "channels on the network are read by libcurl, which cannot be loaded (" +
                                             library.error().message() + "); install it");
  }
  LibCurl functions;
  decltype(&::curl_global_init) global_init = nullptr;
  const bool complete =
      library->find("curl_global_init", global_init) && library->find("curl_easy_init", functions.init) &&
      library->find("curl_easy_cleanup", functions.cleanup) && library->find("curl_easy_reset", functions.reset) &&
      library->find("curl_easy_setopt", functions.setopt) && library->find("curl_easy_getinfo", functions.getinfo) &&
      library->find("curl_easy_header", functions.header) && library->find("curl_easy_perform", functions.perform) &&
      library->find("curl_easy_strerror", functions.strerror);
  if (!complete) return make_error(Errc::unsupported, std::string(kFile) + " is older than 7.83");
  if (global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return make_error(Errc::system, "libcurl does not start");
  return functions;
}

}  // namespace

Result<const LibCurl*> load_libcurl() {
  static const Result<LibCurl> loaded = load();
  if (!loaded) return loaded.error();
  return &*loaded;
}

}  // namespace driverext
