// Structured messages to the journal, or to standard error where there is none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/reason.hpp"

namespace driverext {

/// syslog priorities.
enum class Priority : int { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };

/// Journal fields, by name: a misspelt one does not compile.
enum class FieldName {
  driver,
  version,
  step,
  outcome,
  reason,
  detail,
  root_hash,
  signer,
  kernel_release,
  image,
  duration_usec
};
/// "DRIVEREXT_ROOT_HASH" and so on.
std::string_view field_text(FieldName name);

struct Field {
  FieldName name;
  std::string value;
};

void log_message(Priority priority, const std::string& text, const std::vector<Field>& fields = {});
/// With the reason's MESSAGE_ID, so that `journalctl -x` explains it.
void log_reason(Reason reason, const std::string& text, std::vector<Field> fields = {});

}  // namespace driverext
