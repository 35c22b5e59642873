#include "provisioner/acquisition.hpp"

#include <algorithm>

#include "base/json.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxAcquisitionSize = size_t{1} << 20;

Result<Acquisition> parse(std::string_view text) {
  TRY(const Json object, parse_json(text, {.max_size = kMaxAcquisitionSize, .max_depth = 2}));
  Acquisition acquisition;
  TRY(const std::string code, json_string(object, "reason"));
  const auto known = std::find_if(all_reasons().begin(), all_reasons().end(),
                                  [&](const ReasonInfo& info) { return info.code == code; });
  if (known == all_reasons().end()) return make_error(Errc::unsupported, "unknown reason " + code);
  acquisition.reason = known->reason;
  TRY(acquisition.message, json_string(object, "message"));
  TRY(acquisition.kernel_release, json_string(object, "kernelRelease"));
  TRY(acquisition.started_usec, json_number(object, "startedUSec"));
  return acquisition;
}

}  // namespace

std::optional<Acquisition> read_acquisition(const Dir& root) {
  const Result<std::optional<std::string>> text = root.read_if_there(kAcquisitionFile, kMaxAcquisitionSize);
  if (!text || !*text) return std::nullopt;
  Result<Acquisition> acquisition = parse(**text);
  if (!acquisition) return std::nullopt;
  return *std::move(acquisition);
}

Result<void> write_acquisition(const Dir& root, const Acquisition& acquisition) {
  const OrderedJson object = {{"format", 1},
                              {"reason", reason_info(acquisition.reason).code},
                              {"message", acquisition.message},
                              {"kernelRelease", acquisition.kernel_release},
                              {"startedUSec", acquisition.started_usec}};
  return root.write_atomic(kAcquisitionFile, object.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n",
                           0644);
}

}  // namespace driverext
