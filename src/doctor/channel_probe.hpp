// Whether a channel's server answers: its index is asked for, and the answer left after the first bytes.
#pragma once

#include <string>

#include "channel/fetcher.hpp"

namespace driverext {

/// How long `driverext doctor` waits for a server.
constexpr long kProbeSeconds = 5;

/// Errors: Reason::config_invalid for an address that is none, else those of the fetcher.
Result<void> probe_channel(Fetcher& fetcher, const std::string& channel_url);

}  // namespace driverext
