// FakeGpuHost: a host with two GPUs of a made-up vendor, whose driver leaves its device nodes to user space and brings
// libraries and programs: a complete image, a driver root, container engines, a check.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "fixture.hpp"
#include "provisioner/state.hpp"

namespace driverext::test {

inline constexpr const char* kGpuDriver = "testgpu";
/// Where its definition puts the driver root.
inline constexpr const char* kGpuRoot = "run/testgpu/driver";
inline constexpr const char* kGpuCdi = "run/cdi/testgpu.yaml";
inline constexpr const char* kGpuToolkitConfig = "etc/testgpu-runtime/config.toml";
inline constexpr const char* kDockerConfig = "etc/docker/daemon.json";

struct GpuImageOptions {
  std::string version = "1.0";
  uint64_t created = 1'700'000'000;
  std::string kernel_release = kSampleKernel;
  std::map<std::string, std::string> more_files = {};  ///< with a version of their own
  Kind kind = Kind::complete;                          ///< or one of its halves: modules, userland
  std::string os_version_id = "12";
  std::vector<std::string> more_needs = {};  ///< modules of the host, of its second module
};

Manifest gpu_manifest(const GpuImageOptions& options);
/// Signed by publisher(); built once a program.
const std::string& gpu_bytes(const GpuImageOptions& options);
std::string gpu_root_hash(const GpuImageOptions& options);

class FakeGpuHost : public FakeHost {
 public:
  /// The driver's definition and configuration, no image.
  FakeGpuHost();

  /// Puts the image into the inbox; its files appear when it is mounted.
  void drop_image(const GpuImageOptions& options = {});
  /// The two halves of it, modules and userland.
  void drop_halves();
  /// The same, into the store.
  void store_image(const GpuImageOptions& options = {});
  /// The image's first module as the kernel takes it.
  void replace_module(const GpuImageOptions& options, int refused_with, bool works = true);
  /// The same, changed in another way.
  void change_module(const GpuImageOptions& options, const std::function<void(FakeModuleFile&)>& change);
  /// The image's second module, testgpu_uvm, changed.
  void change_second_module(const GpuImageOptions& options, const std::function<void(FakeModuleFile&)>& change);
  /// The version in the driver root, as its own programs see it; empty if there is none.
  [[nodiscard]] std::string version_in_root() const;

  /// A host with a container toolkit and docker, both with settings of their own.
  void install_engines() const;
  /// The configuration with more of it, "[host]\nmerge = true\n".
  void configure(const std::string& more) const;

  /// All that a person could notice: path, mode and content of files and links, and the folders. Not below proc, sys
  /// and var/lib/driverext, and not what is remembered of verified images.
  [[nodiscard]] std::map<std::string, std::string> files() const;
  /// What the node remembers.
  [[nodiscard]] State state() const { return StateFile::read(root()).state(); }

  /// The check of images of this version fails.
  std::string check_fails_for;

 private:
  void know(const GpuImageOptions& options);
  Result<std::string> run(const ProgramRequest& request) const;
};

/// "import done, verify done, ...", as the status lists them.
std::string steps_text(const Status& status);

}  // namespace driverext::test
