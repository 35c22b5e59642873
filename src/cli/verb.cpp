#include "cli/verb.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>

#include "base/json.hpp"
#include "sys/dir.hpp"

namespace driverext::cli {

Result<JsonMode> parse_json_mode(const std::string& text) {
  if (text == "pretty") return JsonMode::pretty;
  if (text == "short") return JsonMode::compact;
  if (text == "off") return JsonMode::off;
  return make_error(Errc::invalid_input, "--json takes pretty, short or off");
}

void print_json(const OrderedJson& value, JsonMode mode) {
  const int indent = mode == JsonMode::pretty ? 2 : -1;
  std::puts(value.dump(indent, ' ', false, OrderedJson::error_handler_t::replace).c_str());
}

int fail(const Error& error) {
  std::fprintf(stderr, "driverext: %s\n", error.message().c_str());
  if (error.reason) {
    const ReasonInfo& info = reason_info(*error.reason);
    std::fprintf(stderr, "%s: %s\n", std::string(info.code).c_str(), std::string(info.advice).c_str());
    return static_cast<int>(info.exit_code);
  }
  if (error.code == Errc::untrusted) return static_cast<int>(ExitCode::untrusted);
  if (error.code == Errc::transient) return static_cast<int>(ExitCode::try_again);
  return static_cast<int>(ExitCode::failed);
}

int usage_error(const std::string& what) {
  std::fprintf(stderr, "driverext: %s\nTry --help.\n", what.c_str());
  return static_cast<int>(ExitCode::usage);
}

Result<std::string> read_argument_file(const std::string& path, size_t max_size) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return os_failure(errno, "cannot open " + path);
  return read_fd(fd.get(), max_size, path);
}

}  // namespace driverext::cli
