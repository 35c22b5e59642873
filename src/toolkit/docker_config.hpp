// dockerd's configuration file: one runtime of our own in it, and everything else as it was.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace driverext {

/// The text of daemon.json with runtimes.NAME = {"path": PATH, "args": []}; the same text if NAME has that path
/// already. An entry with another path keeps its other members; one that names a shim (runtimeType) is replaced, since
/// dockerd does not start with both.
///
/// An empty text stands for an absent or empty file. What dockerd reads is read here (byte order mark, null, members
/// that stand there twice, bytes that are no UTF-8); settings other than runtimes are not judged. Every byte outside of
/// the entry stays, and the result is parsed again and compared before it is given out.
///
/// Errors: Errc::invalid_input with Reason::toolkit_config_invalid and the position, if the text is not what dockerd
/// accepts; Errc::invalid_input without a reason of its own for a name or path that cannot be used.
Result<std::string> with_docker_runtime(std::string_view daemon_json, const std::string& name, const std::string& path);

}  // namespace driverext
