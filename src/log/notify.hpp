// Telling systemd how a service is doing (sd_notify). Without systemd these do nothing.
#pragma once

#include <string>

namespace driverext {

/// The unit's status text, one line.
void notify_status(const std::string& text);
/// The unit is up; with its status text.
void notify_ready(const std::string& text);

}  // namespace driverext
