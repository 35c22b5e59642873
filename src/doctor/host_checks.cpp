// The host as a place for driverext: configuration, service, room, channel.
#include <algorithm>

#include "base/text.hpp"
#include "doctor/checks.hpp"
#include "doctor/diagnosis.hpp"
#include "provisioner/acquisition.hpp"

namespace driverext::checks {
namespace {

constexpr std::string_view kService = "driverext.service";
constexpr uint64_t kLeastFree = uint64_t{256} << 20;
constexpr uint64_t kLeastRunFree = uint64_t{16} << 20;

// A link to /dev/null in the place of a unit: systemctl mask.
Result<bool> is_masked(const Dir& root, const std::string& unit) {
  for (const char* top : {"etc/systemd/system/", "run/systemd/system/"}) {
    TRY(const auto link, root.read_link(top + unit));
    if (link == "/dev/null") return true;
  }
  return false;
}

Result<bool> is_wanted_at_boot(const Dir& root, const std::string& unit) {
  for (const std::string top : {"etc", "run", "usr/lib", "lib"}) {
    const std::string folder = top + "/systemd/system";
    TRY(const std::vector<std::string> names, root.list(folder));
    for (const std::string& name : names) {
      if (!name.ends_with(".wants") && !name.ends_with(".requires") && !name.ends_with(".upholds")) continue;
      TRY(const auto there, root.status(folder + "/" + name + "/" + unit));
      if (there) return true;
    }
  }
  return false;
}

Result<uint64_t> largest_image(const DoctorInput& input) {
  uint64_t largest = 0;
  for (const NodeImage& image : input.images) {
    TRY(const auto status, input.root.status(image.name));
    if (status) largest = std::max(largest, static_cast<uint64_t>(status->st_size));
  }
  return largest;
}

}  // namespace

Result<Diagnosis> configuration(const DoctorInput& input) {
  if (!input.config) return problem(input.config_error);
  if (!input.definition) return problem(input.definition_error);
  return fine("driver " + input.config->driver + " is configured and defined");
}

Result<Diagnosis> service_enabled(const DoctorInput& input) {
  const std::string unit(kService);
  TRY(const bool masked, is_masked(input.root, unit));
  if (masked) return problem(unit + " is masked");
  const bool installed = is_there(input.root, "usr/lib/systemd/system/" + unit) ||
                         is_there(input.root, "lib/systemd/system/" + unit) ||
                         is_there(input.root, "etc/systemd/system/" + unit);
  if (!installed) return unknown(unit + " is not in the usual folders");
  TRY(const bool wanted, is_wanted_at_boot(input.root, unit));
  return wanted ? fine(unit + " is started at boot") : problem("nothing starts " + unit + " at boot");
}

Result<Diagnosis> last_provision(const DoctorInput& input) {
  if (!input.config) return not_applicable("no driver is configured");
  if (!input.facts) return without_facts(input);
  if (!input.status.is_object()) return problem("nothing was provisioned since this boot");
  const std::string outcome = status_text(input, "outcome");
  if (outcome == "provisioned") return fine("version " + status_text(input, "version") + " is provisioned");
  const std::string words = outcome + " (" + status_text(input, "reason") + "): " + status_text(input, "message");
  return outcome == "building" || outcome == "fetching" ? fine(words) : problem(words);
}

// A new image must fit beside those that are here.
Result<Diagnosis> disk_space(const DoctorInput& input) {
  if (!input.facts) return without_facts(input);
  if (!input.facts->free_bytes) return unknown("the free space below /var/lib/driverext is not known");
  TRY(const uint64_t largest, largest_image(input));
  const uint64_t wanted = std::max(kLeastFree, largest);
  const uint64_t there = *input.facts->free_bytes;
  if (there >= wanted) return fine(human_size(there) + " are free below /var/lib/driverext");
  return problem("only " + human_size(there) + " are free below /var/lib/driverext; another image may take " +
                 human_size(wanted));
}

Result<Diagnosis> run_space(const DoctorInput& input) {
  if (!input.run_free_bytes) return unknown("the free space below /run is not known");
  if (*input.run_free_bytes >= kLeastRunFree) return fine(human_size(*input.run_free_bytes) + " are free below /run");
  return problem("only " + human_size(*input.run_free_bytes) + " are free below /run");
}

Result<Diagnosis> channel_reachable(const DoctorInput& input) {
  if (!input.config || input.config->channel_url.empty()) return not_applicable("no channel is configured");
  if (!input.ask_channel) return unknown("the channel was not asked");
  const Result<void> answer = input.ask_channel(input.config->channel_url);
  return answer ? fine(input.config->channel_url + " answers") : problem(answer.error().message());
}

Result<Diagnosis> last_acquisition(const DoctorInput& input) {
  const std::optional<Acquisition> last = read_acquisition(input.root);
  if (!last) return not_applicable("nothing was fetched or built since this boot");
  if (last->in_progress()) return fine("in progress: " + last->message);
  // The driver may have come another way since.
  if (!last->failed() || is_provisioned(input)) return fine("the last attempt ended well, or is not needed any more");
  return problem(std::string(reason_info(last->reason).code) + ": " + last->message);
}

}  // namespace driverext::checks
