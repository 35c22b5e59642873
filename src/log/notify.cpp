#include "log/notify.hpp"

#include <systemd/sd-daemon.h>

#include <algorithm>

namespace driverext {
namespace {
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}
}  // namespace

void notify_status(const std::string& text) { (void)::sd_notify(0, ("STATUS=" + one_line(text)).c_str()); }

void notify_ready(const std::string& text) { (void)::sd_notify(0, ("READY=1\nSTATUS=" + one_line(text)).c_str()); }

}  // namespace driverext
