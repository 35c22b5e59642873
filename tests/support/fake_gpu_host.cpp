#include "fake_gpu_host.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <sstream>

#include "base/json.hpp"
#include "crypto/digest.hpp"
#include "provisioner/verified_cache.hpp"
#include "verdict.hpp"

namespace driverext::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefinition = R"(name = "testgpu"
[[module]]
name = "testgpu"
[[module]]
name = "testgpu-uvm"
[[device]]
node = "/dev/testgpuctl"
registered_as = ["testgpu", "testgpu-frontend"]
minor = 255
permissions = "/proc/driver/testgpu/params"
[[device]]
node = "/dev/testgpu{minor}"
registered_as = ["testgpu", "testgpu-frontend"]
each = "/proc/driver/testgpu/gpus/*/information"
minor = "Device Minor"
names = ["GPU UUID"]
permissions = "/proc/driver/testgpu/params"
[[device]]
node = "/dev/testgpu-uvm"
registered_as = ["testgpu-uvm"]
minor = 0
permissions = "/proc/driver/testgpu/params"
[[device]]
node = "/dev/testgpu-fabric"
registered_as = ["testgpu-fabric"]
minor = 0
optional = true
[root]
path = "/run/testgpu/driver"
[check]
command = ["tool", "-L"]
[toolkit]
libraries = ["*.so.{version}"]
programs = ["tool"]
cdi = { kind = "test.example/gpu", file = "/run/cdi/testgpu.yaml" }
config = { file = "/etc/testgpu-runtime/config.toml", table = "cli", key = "root" }
runtime = { name = "testgpu", path = "/usr/bin/testgpu-runtime" }
)";

constexpr const char* kLibraries = "usr/lib/x86_64-linux-gnu/";
constexpr size_t kModuleSize = 10'000;
constexpr const char* kModuleFiles[] = {"testgpu", "testgpu-uvm"};

std::string module_path(const GpuImageOptions& options, const std::string& name) {
  return "usr/lib/modules/" + options.kernel_release + "/driverext/testgpu/" + name + ".ko";
}

std::map<std::string, std::string> user_files(const GpuImageOptions& options) {
  return {{"usr/bin/tool", "a program of " + options.version},
          {"usr/bin/unnamed-tool", "which no definition names"},
          {kLibraries + ("libtest.so." + options.version), "a library of " + options.version},
          {kLibraries + std::string("libother.so.9"), "of another version"}};
}

std::map<std::string, std::string> links(const GpuImageOptions& options) {
  return {{kLibraries + std::string("libtest.so.1"), "libtest.so." + options.version},
          {kLibraries + std::string("libtest.so"), "libtest.so.1"}};
}

std::map<std::string, std::string> files_of(const GpuImageOptions& options) {
  std::map<std::string, std::string> files;
  if (options.kind != Kind::modules) files = user_files(options);
  files.insert(options.more_files.begin(), options.more_files.end());
  if (options.kind == Kind::userland) return files;
  for (const char* name : kModuleFiles) {
    files[module_path(options, name)] = stand_in(name + (" " + options.version), kModuleSize);
  }
  return files;
}

// Bytes: as many digits as a build id needs.
std::string build_id_of(const GpuImageOptions& options, const std::string& name) {
  return to_hex(sha256(as_bytes(options.version + name))).substr(0, 40);
}

std::vector<std::string> second_needs(const GpuImageOptions& options) {
  std::vector<std::string> needs = {"testgpu"};
  needs.insert(needs.end(), options.more_needs.begin(), options.more_needs.end());
  return needs;
}

FakeModuleFile module_file(const GpuImageOptions& options, const std::string& file_name) {
  FakeModuleFile file;
  file.name = file_name == "testgpu" ? "testgpu" : "testgpu_uvm";
  file.build_id = build_id_of(options, file.name);
  if (file_name != "testgpu") file.depends = second_needs(options);
  file.image = gpu_root_hash(options);
  return file;
}

// A content that tells two files apart, whatever they are.
std::string content_of(const fs::path& path, const struct stat& info) {
  if (S_ISLNK(info.st_mode)) return "link to " + fs::read_symlink(path).string();
  if (S_ISREG(info.st_mode)) return "file: " + read_whole(path.string());
  return S_ISDIR(info.st_mode) ? "folder" : "something else";
}

}  // namespace

Manifest gpu_manifest(const GpuImageOptions& options) {
  Manifest manifest;
  manifest.driver = kGpuDriver;
  manifest.version = options.version;
  manifest.kind = options.kind;
  if (options.kind == Kind::modules) manifest.userland = options.version;
  manifest.architecture = "x86-64";
  manifest.os_id = "debian";
  manifest.os_version_id = options.os_version_id;
  manifest.license = "Proprietary";
  manifest.created = options.created;
  if (options.kind == Kind::userland) return manifest;
  manifest.kernel_release = options.kernel_release;
  manifest.vermagic = options.kernel_release + " SMP preempt mod_unload modversions ";
  const auto files = files_of(options);
  for (const char* file_name : kModuleFiles) {
    const std::string path = module_path(options, file_name);
    const std::string& text = files.at(path);
    const std::string name = file_name == kModuleFiles[0] ? "testgpu" : "testgpu_uvm";
    std::vector<std::string> needs;
    if (name != "testgpu") needs = second_needs(options);
    manifest.modules.push_back(
        {name, path, text.size(), to_hex(sha256(as_bytes(text))), build_id_of(options, name), needs, options.version});
  }
  return manifest;
}

const std::string& gpu_bytes(const GpuImageOptions& options) {
  static std::map<std::string, std::string> built;
  const Manifest manifest = gpu_manifest(options);
  std::string& bytes = built[format_manifest(manifest)];
  if (!bytes.empty()) return bytes;
  const TempDir scratch;
  for (const auto& [path, text] : files_of(options)) {
    write_file(scratch / ("tree/" + path), text, path.starts_with("usr/bin/") ? 0755 : 0644);
  }
  if (options.kind != Kind::modules) {
    for (const auto& [path, target] : links(options)) fs::create_symlink(target, scratch / ("tree/" + path));
  }
  const SigningKey key = publisher().signing_key();
  BuildRequest request;
  request.manifest = manifest;
  request.trees = {{scratch / "tree", ""}};
  request.output = scratch / "image.raw";
  request.zstd_level = 1;
  request.key = &key;
  must(build_image(request));
  bytes = read_whole(request.output);
  return bytes;
}

std::string gpu_root_hash(const GpuImageOptions& options) { return signature_of(gpu_bytes(options))["rootHash"]; }

FakeGpuHost::FakeGpuHost() {
  configure("");
  write("usr/lib/driverext/drivers/testgpu.toml", kDefinition);
  for (const char* folder : {"dev/char", "sys", "run/cdi", "run/extensions", "run/modprobe.d", "run/driverext/mounts",
                             "run/driverext/roots"}) {
    must(root().make_dirs(folder, 0755));
  }
  kernel.add_number({"testgpu", "testgpu", 195});
  kernel.add_number({"testgpu", "testgpuctl", 195});
  kernel.add_number({"testgpu_uvm", "testgpu-uvm", 238});
  const std::string folder = "proc/driver/testgpu/";
  kernel.add_report("testgpu", folder + "params",
                    "ResmanDebugLevel: 4294967295\nModifyDeviceFiles: 1\nDeviceFileUID: 0\nDeviceFileGID: 44\n"
                    "DeviceFileMode: 432\n");  // 0660
  // Minors that do not follow the order of the addresses.
  kernel.add_report("testgpu", folder + "gpus/0000:06:00.0/information",
                    "Model: \t\t Test GPU\nGPU UUID: \t GPU-aaaa\nBus Location: \t 0000:06:00.0\nDevice Minor: \t 1\n");
  kernel.add_report("testgpu", folder + "gpus/0000:81:00.0/information",
                    "Model: \t\t Test GPU\nGPU UUID: \t GPU-bbbb\nBus Location: \t 0000:81:00.0\nDevice Minor: \t 0\n");
  programs.answer = [this](const ProgramRequest& request) { return run(request); };
}

void FakeGpuHost::know(const GpuImageOptions& options) {
  std::map<std::string, std::string> files = files_of(options);
  files[std::string(kManifestPath)] = format_manifest(gpu_manifest(options));
  kernel.add_image(gpu_root_hash(options), std::move(files),
                   options.kind == Kind::modules ? std::map<std::string, std::string>() : links(options));
  if (options.kind == Kind::userland) return;
  for (const char* name : kModuleFiles) kernel.add_module_file(module_file(options, name));
}

void FakeGpuHost::drop_image(const GpuImageOptions& options) {
  drop("testgpu-" + options.version + "-" + std::string(kind_name(options.kind)) + options.os_version_id + ".raw",
       gpu_bytes(options));
  know(options);
}

void FakeGpuHost::drop_halves() {
  drop_image({.kind = Kind::modules});
  drop_image({.kind = Kind::userland});
}

void FakeGpuHost::store_image(const GpuImageOptions& options) {
  write(std::string(kStore) + "/" + gpu_root_hash(options) + "/testgpu.raw", gpu_bytes(options));
  know(options);
}

void FakeGpuHost::replace_module(const GpuImageOptions& options, int refused_with, bool works) {
  FakeModuleFile file = module_file(options, kModuleFiles[0]);
  file.refused_with = refused_with;
  file.works = works;
  kernel.add_module_file(std::move(file));
}

void FakeGpuHost::change_module(const GpuImageOptions& options, const std::function<void(FakeModuleFile&)>& change) {
  FakeModuleFile file = module_file(options, kModuleFiles[0]);
  change(file);
  kernel.add_module_file(std::move(file));
}

void FakeGpuHost::change_second_module(const GpuImageOptions& options,
                                       const std::function<void(FakeModuleFile&)>& change) {
  FakeModuleFile file = module_file(options, kModuleFiles[1]);
  change(file);
  kernel.add_module_file(std::move(file));
}

std::string FakeGpuHost::version_in_root() const {
  const std::string name = kGpuRoot + ("/" + std::string(kManifestPath));
  const auto text = must(root().read_if_there(name, kMaxManifestSize));
  return text ? must(parse_manifest(*text)).version : "";
}

void FakeGpuHost::install_engines() const {
  write("usr/bin/testgpu-runtime", "a program", 0755);
  write(kGpuToolkitConfig, "# settings of ours\n[cli]\n#root = \"/\"\ndebug = \"/var/log/x\"\n", 0640);
  write(kDockerConfig, "{\n    \"log-driver\": \"journald\"\n}\n", 0600);
}

void FakeGpuHost::configure(const std::string& more) const {
  write("etc/driverext/driverext.toml", "[driver]\nname = \"testgpu\"\n" + more);
}

std::map<std::string, std::string> FakeGpuHost::files() const {
  std::map<std::string, std::string> found;
  const fs::path top = path("");
  for (auto it = fs::recursive_directory_iterator(top); it != fs::recursive_directory_iterator(); ++it) {
    const std::string name = it->path().lexically_relative(top).string();
    // What was verified is remembered whether or not it could be used.
    if (name == kVerifiedFile) continue;
    if (name == "proc" || name == "sys" || name == "var/lib/driverext" || name == kManifestTexts) {
      it.disable_recursion_pending();
      continue;
    }
    struct stat info {};
    if (::lstat(it->path().c_str(), &info) != 0) continue;
    std::ostringstream line;
    line << std::oct << info.st_mode << ' ' << content_of(it->path(), info);
    found[name] = line.str();
  }
  return found;
}

// The host's tools and the driver's, as far as their files tell.
Result<std::string> FakeGpuHost::run(const ProgramRequest& request) const {
  const std::string& name = request.argv.front();
  if (name == "ldconfig") {
    write_file(request.argv.back() + "/etc/ld.so.cache", "the cache");
    return std::string();
  }
  if (name == "tool") {
    // Looked up inside the root that it runs in.
    if (!exists(request.root + "/usr/bin/tool")) return os_failure(ENOENT, "cannot run " + name);
    const std::string version = version_in_root();
    if (version.empty() || version == check_fails_for) {
      return make_error(Errc::system, name + " exited with status 255: no devices were found");
    }
    return std::string("GPU 0\nGPU 1\n");
  }
  if (name != "systemd-sysext") return os_failure(ENOENT, "cannot run " + name);
  // Merges what run/extensions shows, and its exit code says nothing.
  const std::string merged(kManifestPath);
  must(root().remove_file(merged));
  for (const std::string& extension : must(root().list("run/extensions"))) {
    const auto text = root().read_file("run/extensions/" + extension + "/" + merged, kMaxManifestSize);
    if (text) write(merged, *text);
  }
  return std::string("Using extensions 'testgpu'.\n");
}

std::string steps_text(const Status& status) {
  std::string text;
  for (const StepReport& report : status.steps) {
    text += (text.empty() ? "" : ", ") + std::string(step_name(report.kind)) + " " +
            std::string(step_outcome_name(report.outcome));
  }
  return text;
}

}  // namespace driverext::test
