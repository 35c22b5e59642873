// The list of images that were verified in this boot.
#include "provisioner/verified_cache.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

constexpr std::string_view kHead = "driverext-verified 1\tboot\ttrust";

void run(std::string_view input) {
  const auto entries = VerifiedCache::parse(input, kHead);
  if (!entries) return;
  // What is read once is read again as the same.
  const auto again = VerifiedCache::parse(VerifiedCache::format(std::string(kHead), *entries), kHead);
  require(again && again->size() == entries->size());
  for (size_t i = 0; i < entries->size(); ++i) {
    require(*(*again)[i].identity == *(*entries)[i].identity);
    require((*again)[i].file_stamp == (*entries)[i].file_stamp);
  }
}

std::vector<std::string> seeds() {
  ImageIdentity identity;
  identity.root_hash = std::string(64, 'a');
  identity.salt = "-";
  identity.driver = "cam";
  identity.version = "1.0";
  identity.kernel_release = "6.1";
  identity.vermagic = "6.1 SMP";
  identity.kernels = {"6.1", "6.2"};
  identity.modules = {{"cam", "aa", "1.0"}, {"core", "bb", ""}};
  VerifiedEntry entry;
  entry.folder = identity.root_hash;
  entry.file = "cam.raw";
  entry.folder_stamp = entry.file_stamp = {1, 2, 3, 4, 5};
  entry.origin = "local";
  entry.identity = std::make_shared<const ImageIdentity>(identity);
  return {VerifiedCache::format(std::string(kHead), {}), VerifiedCache::format(std::string(kHead), {entry, entry})};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(verified_cache, driverext::fuzz::run, driverext::fuzz::seeds)
