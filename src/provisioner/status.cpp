#include "provisioner/status.hpp"

#include "base/json.hpp"

namespace driverext {

OrderedJson status_to_json(const Status& status) {
  const ReasonInfo& info = reason_info(status.reason);
  OrderedJson object = {{"format", 1},
                        {"outcome", outcome_name(info.outcome)},
                        {"reason", info.code},
                        {"message", status.message},
                        {"advice", info.advice},
                        {"exitCode", static_cast<int>(info.exit_code)},
                        {"driver", status.driver},
                        {"kernelRelease", status.kernel_release}};
  if (status.image) {
    object["version"] = status.image->version;
    object["rootHash"] = status.image->root_hash;
    object["signer"] = status.image->signer;
    object["signerFingerprint"] = status.image->signer_fingerprint;
    object["image"] = status.image->path;
    object["origin"] = status.image->origin;
    object["rung"] = status.rung;
  }
  if (status.userland) {
    object["userland"] = {{"version", status.userland->version},
                          {"rootHash", status.userland->root_hash},
                          {"signer", status.userland->signer},
                          {"image", status.userland->path},
                          {"origin", status.userland->origin}};
  }
  object["startedUSec"] = status.started_usec;
  object["durationUSec"] = status.duration_usec;
  object["steps"] = OrderedJson::array();
  for (const StepReport& step : status.steps) {
    object["steps"].push_back({{"step", step_name(step.kind)},
                               {"result", step_outcome_name(step.outcome)},
                               {"message", step.message},
                               {"startedUSec", step.started_usec},
                               {"durationUSec", step.duration_usec}});
  }
  object["rejected"] = OrderedJson::array();
  for (const Status::Rejected& rejected : status.rejected) {
    object["rejected"].push_back({{"path", rejected.path},
                                  {"reason", rejected.reason},
                                  {"message", rejected.message},
                                  {"quarantined", rejected.quarantined}});
  }
  object["putAside"] = OrderedJson::array();
  for (const Status::PutAside& image : status.put_aside) {
    object["putAside"].push_back({{"version", image.version},
                                  {"rootHash", image.root_hash},
                                  {"reason", image.reason},
                                  {"message", image.message}});
  }
  object["kernelsReady"] = status.kernels_ready;
  return object;
}

Result<void> write_status(const Dir& root, const Status& status) {
  // Error texts can carry bytes of a damaged file: what is not UTF-8 is replaced, never thrown at.
  return root.write_atomic(kStatusFile,
                           status_to_json(status).dump(2, ' ', false, Json::error_handler_t::replace) + "\n", 0644);
}

}  // namespace driverext
