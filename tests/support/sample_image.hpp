// Extension images for tests: one real one, built once a program, and damage done to copies of it.
//
// The modules in it are small texts: nothing here inserts them into a kernel.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "crypto/trust_store.hpp"
#include "signer.hpp"
#include "sysext/image_builder.hpp"
#include "sysext/verified_image.hpp"
#include "temp_dir.hpp"

namespace driverext::test {

inline constexpr const char* kSampleDriver = "testcam";
inline constexpr const char* kSampleKernel = "6.12.1-test";
inline constexpr int64_t kNow = 1'800'000'000;

/// Signs the sample image; its certificate is the trust anchor of sample hosts.
const Identity& publisher();
/// Somebody whom no sample host trusts.
const Identity& stranger();
TrustStore publisher_only();

struct SampleOptions {
  std::string driver = kSampleDriver;
  std::string version = "1.0";
  std::string kernel_release = kSampleKernel;
  std::string architecture = "x86-64";
  uint64_t created = 1'700'000'000;
  size_t padding = 40'000;  ///< size of the bigger module file
  Kind kind = Kind::modules;
  std::vector<std::string> kernels = {kSampleKernel};  ///< of a builder
  std::string userland = {};                           ///< of modules: the version that belongs to them
};

/// A file that does not compress to nothing, so that it has blocks of its own.
std::string stand_in(const std::string& name, size_t size);

/// Images to build the sample driver from.
SampleOptions sample_source();
SampleOptions sample_builder();

/// Modules: testcore, and testcam that depends on it and on the host's videodev.
Manifest sample_manifest(const SampleOptions& options = {});
/// What the image holds, by path: the modules, and the manifest that the builder adds.
std::map<std::string, std::string> sample_files(const SampleOptions& options = {});
BuildRequest sample_request(const std::string& output, const SampleOptions& options = {});

/// The bytes of a freshly built image. Costs about 0.1 s.
std::string build_bytes(const SampleOptions& options, const Identity* signer);
/// The same, kept: signed by publisher(), with the options' defaults.
const std::string& sample_bytes();
/// The same, built once a program for each set of options.
const std::string& kept_bytes(const SampleOptions& options);

/// The image in these bytes, as written to a file of a directory of its own.
Result<ImageFile> open_bytes(const std::string& bytes);
/// Opened and verified against publisher() at kNow.
Result<VerifiedImage> verify_bytes(const std::string& bytes);

std::vector<Partition> partitions_of(const std::string& bytes);
/// Both partition tables rewritten, with right checksums.
std::string with_partitions(std::string bytes, const std::vector<Partition>& partitions);

/// The UUIDs by which systemd finds a root hash, changed to those of this one (hex).
std::string with_uuids_of(const std::string& bytes, const std::string& root_hash);

/// Byte at `offset` changed.
std::string flipped(std::string bytes, uint64_t offset);

OrderedJson signature_of(const std::string& bytes);
/// The signature partition's JSON rewritten.
std::string with_signature(std::string bytes, const OrderedJson& signature);
std::string with_signature_edit(const std::string& bytes, const std::function<void(OrderedJson&)>& edit);
/// What a publisher signs about this image: with a manifest of the test's choice, and perhaps another root hash (hex).
std::string statement_about(const std::string& bytes, const std::string& manifest,
                            const std::optional<std::string>& root_hash = std::nullopt);
/// The image signed by `signer` with a statement of the test's choice.
std::string with_statement(const std::string& bytes, const std::string& statement, const Identity& signer);

}  // namespace driverext::test
