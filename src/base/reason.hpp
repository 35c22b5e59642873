// Reason codes: the one table of everything a provision can end in.
//
// The same codes stand in docs/reasons.md and in units/driverext.catalog; a test holds the three
// equal. A code, once released, keeps its meaning.
#pragma once

#include <span>
#include <string_view>

namespace driverext {

enum class Reason {
  provisioned,
  no_image,
  no_image_for_kernel,
  userland_missing,
  unsigned_image,
  untrusted_signer,
  signature_invalid,
  manifest_missing,
  manifest_mismatch,
  image_malformed,
  unsafe_file,
  hash_tree_corrupt,
  data_corrupt,
  no_trust_anchor,
  signer_revoked,
  image_revoked,
  version_too_old,
  config_invalid,
  kernel_feature_missing,
  dependency_missing,
  module_conflict,
  module_blacklisted,
  module_load_failed,
  device_missing,
  mount_conflict,
  driver_in_use,
  unloaded,
  not_permitted,
  building,
  fetching,
  put_aside,
  load_interrupted,
  check_failed,
  root_failed,
  toolkit_config_invalid,
  merge_failed,
  build_failed,
  builder_missing,
  channel_unreachable,
  index_untrusted,
  index_expired,
  index_rolled_back,
  rollout_waiting,
  no_image_in_channel,
  load_timeout,
  rolled_back,
  budget_exceeded,
  wrong_architecture,
  kernel_mismatch,
  vermagic_mismatch,
  symbol_missing,
  symbol_mismatch,
  fit_unknown,
  module_key_unknown,
  no_hardware,
  hardware_unsupported,
  firmware_missing,
  os_mismatch,
  not_wanted,
  no_space,
  step_failed,
};

/// Exit codes of every program (DESIGN.md section 3; 65..78 follow sysexits.h where it fits).
enum class ExitCode : int {
  done = 0,
  failed = 1,
  usage = 2,
  untrusted = 65,
  nothing_fits = 69,
  try_again = 75,
  not_permitted = 77,
  bad_configuration = 78,
};

/// How a provision ended, in the word that `driverext status` shows.
enum class Outcome { provisioned, fetching, building, degraded, untrusted };

struct ReasonInfo {
  Reason reason;
  std::string_view code;        ///< kebab-case, stable
  std::string_view message_id;  ///< journal MESSAGE_ID, 32 hex digits
  Outcome outcome;
  ExitCode exit_code;
  std::string_view summary;  ///< one sentence
  std::string_view advice;   ///< what a person does next
};

std::span<const ReasonInfo> all_reasons();
const ReasonInfo& reason_info(Reason reason);
std::string_view outcome_name(Outcome outcome);

}  // namespace driverext
