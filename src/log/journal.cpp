#include "log/journal.hpp"

#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/text.hpp"

namespace driverext {
namespace {

// Under systemd, standard error is the journal too: a message must not get there twice. The variable alone proves
// nothing, it is inherited; it names the stream by device and inode (systemd.exec(5)).
bool standard_error_is_journal() {
  const char* stream = ::getenv("JOURNAL_STREAM");
  struct stat info {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &info) != 0) return false;
  return std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino) == stream;
}

void send(Priority priority, const std::string& text, const std::vector<Field>& fields, std::string_view message_id) {
  std::vector<std::string> entries = {"MESSAGE=" + printable(text),
                                      "PRIORITY=" + std::to_string(static_cast<int>(priority)),
                                      "SYSLOG_IDENTIFIER=driverext"};
  if (!message_id.empty()) entries.push_back("MESSAGE_ID=" + std::string(message_id));
  for (const Field& field : fields) entries.push_back(std::string(field_text(field.name)) + "=" + field.value);
  std::vector<iovec> vectors;
  vectors.reserve(entries.size());
  for (std::string& entry : entries) vectors.push_back({entry.data(), entry.size()});
  if (standard_error_is_journal()) {
    (void)::sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size()));
  } else {
    std::fprintf(stderr, "driverext: %s\n", printable(text).c_str());
  }
}

}  // namespace

std::string_view field_text(FieldName name) {
  switch (name) {
    case FieldName::driver:
      return "DRIVEREXT_DRIVER";
    case FieldName::version:
      return "DRIVEREXT_VERSION";
    case FieldName::step:
      return "DRIVEREXT_STEP";
    case FieldName::outcome:
      return "DRIVEREXT_OUTCOME";
    case FieldName::reason:
      return "DRIVEREXT_REASON";
    case FieldName::detail:
      return "DRIVEREXT_DETAIL";
    case FieldName::root_hash:
      return "DRIVEREXT_ROOT_HASH";
    case FieldName::signer:
      return "DRIVEREXT_SIGNER";
    case FieldName::kernel_release:
      return "DRIVEREXT_KERNEL_RELEASE";
    case FieldName::image:
      return "DRIVEREXT_IMAGE";
    case FieldName::duration_usec:
      return "DRIVEREXT_DURATION_USEC";
  }
  return "DRIVEREXT_DETAIL";
}

void log_message(Priority priority, const std::string& text, const std::vector<Field>& fields) {
  send(priority, text, fields, {});
}

void log_reason(Reason reason, const std::string& text, std::vector<Field> fields) {
  const ReasonInfo& info = reason_info(reason);
  fields.push_back({FieldName::reason, std::string(info.code)});
  fields.push_back({FieldName::outcome, std::string(outcome_name(info.outcome))});
  fields.push_back({FieldName::detail, text});
  send(info.outcome == Outcome::provisioned ? Priority::notice : Priority::error, text, fields, info.message_id);
}

}  // namespace driverext
