#include "doctor/survey.hpp"

#include <fcntl.h>
#include <sys/statvfs.h>

#include "base/json.hpp"
#include "kernel/device_node.hpp"
#include "provisioner/status.hpp"

namespace driverext {
namespace {

std::optional<uint64_t> free_bytes(const Dir& root, std::string_view folder) {
  const Result<UniqueFd> fd = root.open_file(folder, O_RDONLY | O_DIRECTORY);
  struct statvfs info {};
  if (!fd || ::fstatvfs(fd->get(), &info) != 0) return std::nullopt;
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

Json read_status(const Dir& root) {
  const auto text = root.read_if_there(kStatusFile, kMaxStatusSize);
  if (!text || !*text) return nullptr;
  Result<Json> parsed = parse_json(**text, {.max_size = kMaxStatusSize});
  return parsed && parsed->is_object() ? *std::move(parsed) : Json(nullptr);
}

void look_at_images(DoctorInput& input) {
  LazyTrust lazy(input.root);
  const Result<const Trust*> trust = lazy.get();
  if (!trust) {
    input.trust_error = trust.error().message();
    input.inventory_error = "without its trust anchors the node's images are not judged";
    return;
  }
  input.trust_anchors = (*trust)->publishers.size();
  const Result<Inventory> inventory = take_inventory(input.root, lazy, input.now);
  if (!inventory) {
    input.inventory_error = inventory.error().message();
    return;
  }
  for (const KnownImage& known : inventory->images) {
    const Result<const Manifest*> manifest = known.manifest();
    if (manifest) {
      const ImageIdentity& identity = known.identity();
      input.images.push_back({known.place, known.name, identity.root_hash, **manifest, identity.signer_valid_until});
    } else {
      input.refused.push_back({known.place, known.name, manifest.error().message()});
    }
  }
  for (const RejectedImage& rejected : inventory->rejected) {
    input.refused.push_back({rejected.place, rejected.name, rejected.error.message()});
  }
}

}  // namespace

DoctorInput survey_for_doctor(const Dir& root, int64_t now) {
  DoctorInput input{root};
  input.now = now;
  // Not the symbols: they cost most, and no check asks for one.
  FactsRequest request = FactsRequest::everything();
  request.symbols = false;
  if (Result<Facts> facts = read_facts(root, request); facts) {
    input.facts = *std::move(facts);
  } else {
    input.facts_error = facts.error().message();
  }
  if (Result<Config> config = read_config(root); config) {
    input.config = *std::move(config);
    Result<Definition> definition = read_definition(root, input.config->driver, input.config->definition);
    if (definition) input.definition = *std::move(definition);
    if (!definition) input.definition_error = definition.error().message();
  } else {
    input.config_error = config.error().message();
  }
  input.state = StateFile::read(root).state();
  input.status = read_status(root);
  input.run_free_bytes = free_bytes(root, "run");
  input.find_node = [&root](const std::string& name) { return find_device_node(root.path_of(name)); };
  look_at_images(input);
  return input;
}

}  // namespace driverext
