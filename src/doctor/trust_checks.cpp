// Whom the node trusts, and the time by which it judges.
#include <sys/stat.h>

#include "base/text.hpp"
#include "doctor/checks.hpp"
#include "doctor/diagnosis.hpp"

namespace driverext::checks {
namespace {

constexpr mode_t kOthersMayWrite = S_IWGRP | S_IWOTH;

// root, or whoever the whole tree belongs to: one that is looked at from outside need not be root's.
Result<uid_t> owner_of_host(const Dir& root) {
  TRY(const auto top, root.status("."));
  return top ? top->st_uid : uid_t{0};
}

Result<void> look_at(const Dir& root, const std::string& name, uid_t owner, std::vector<std::string>& wrong) {
  TRY(const auto status, root.status(name));
  if (!status || S_ISLNK(status->st_mode)) return {};
  if ((status->st_mode & kOthersMayWrite) != 0)
    wrong.push_back("/" + name + " can be written by others than its owner");
  if (status->st_uid != 0 && status->st_uid != owner) {
    wrong.push_back("/" + name + " belongs to user " + std::to_string(status->st_uid));
  }
  return {};
}

}  // namespace

Result<Diagnosis> trust_anchors(const DoctorInput& input) {
  if (!input.config) return not_applicable("no driver is configured");
  if (!input.trust_error.empty()) return problem(input.trust_error);
  if (!input.trust_anchors) return unknown("the trust anchors could not be read");
  if (*input.trust_anchors == 0) return problem("there is no trust anchor in /etc/driverext/trust");
  return fine(std::to_string(*input.trust_anchors) + " trust anchors");
}

// An image is judged each time it is used: one whose signer's certificate has ended is refused from then on.
Result<Diagnosis> signer_validity(const DoctorInput& input) {
  if (!input.config) return not_applicable("no driver is configured");
  if (!input.inventory_error.empty()) return unknown(input.inventory_error);
  constexpr int64_t kAhead = int64_t{14} * 86'400;
  std::vector<std::string> ending;
  for (const NodeImage& image : input.images) {
    if (image.place != Place::store || image.signer_valid_until == 0) continue;
    if (input.now + kAhead < image.signer_valid_until) continue;
    ending.push_back("the certificate that signed /" + image.name + " ends at " + utc_text(image.signer_valid_until));
  }
  return problem_if_any(ending, "no signer's certificate ends in the next two weeks");
}

Result<Diagnosis> trust_folder(const DoctorInput& input) {
  TRY(const uid_t owner, owner_of_host(input.root));
  std::vector<std::string> wrong;
  for (const std::string& folder : kTrustFolders) {
    TRY_VOID(look_at(input.root, folder, owner, wrong));
    TRY(const std::vector<std::string> names, input.root.list(folder));
    for (const std::string& name : names) TRY_VOID(look_at(input.root, folder + "/" + name, owner, wrong));
  }
  return problem_if_any(wrong, "only root can say whom this node trusts");
}

Result<Diagnosis> node_key(const DoctorInput& input) {
  const std::string folder(kNodeKeys);
  TRY(const std::vector<std::string> names, input.root.list(folder));
  if (names.empty()) return not_applicable("the node has no key of its own");
  std::vector<std::string> wrong;
  for (const std::string& name : names) {
    TRY(const auto status, input.root.status(folder + "/" + name));
    if (!status || !S_ISREG(status->st_mode) || name.ends_with(".crt")) continue;
    if ((status->st_mode & (S_IRWXG | S_IRWXO)) != 0) wrong.push_back("/" + folder + "/" + name + " is open to others");
  }
  return problem_if_any(wrong, "nobody but root can read the node's key");
}

// Ahead is harder to tell than behind: no time is known to be certainly too late but one that no certificate reaches.
Result<Diagnosis> host_clock(const DoctorInput& input) {
  const int64_t earliest = earliest_time(input.root);
  if (input.now < earliest) {
    return problem("the clock says " + utc_text(input.now) + ", and it is certainly later than " + utc_text(earliest));
  }
  for (const NodeImage& image : input.images) {
    constexpr int64_t kTolerance = 86'400;  // a publisher's clock may be ahead, too
    const auto created = static_cast<int64_t>(image.manifest.created);
    if (input.now + kTolerance >= created) continue;
    return problem("the clock says " + utc_text(input.now) + ", but " + image.name + " was made at " +
                   utc_text(created));
  }
  return fine(utc_text(input.now));
}

}  // namespace driverext::checks
