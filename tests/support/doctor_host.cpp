#include "doctor_host.hpp"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "base/bytes.hpp"
#include "verdict.hpp"

namespace driverext::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefinition = R"(name = "testgpu"
conflicts = ["opengpu"]
[[hardware]]
name = "Test GPU"
modaliases = ["pci:v00001D0Fd*sv*sd*bc03sc*i*"]
[[module]]
name = "testgpu"
[[module]]
name = "testgpu-uvm"
[[device]]
node = "/dev/testgpuctl"
registered_as = ["testgpu"]
minor = 255
permissions = "/proc/driver/testgpu/params"
[[device]]
node = "/dev/testgpu{minor}"
registered_as = ["testgpu"]
each = "/proc/driver/testgpu/gpus/*/information"
minor = "Device Minor"
permissions = "/proc/driver/testgpu/params"
[root]
path = "/run/testgpu/driver"
[toolkit]
libraries = ["*.so.{version}"]
programs = ["tool"]
cdi = { kind = "test.example/gpu", file = "/run/cdi/testgpu.yaml" }
config = { file = "/etc/testgpu-runtime/config.toml", table = "cli", key = "root" }
runtime = { name = "testgpu", path = "/usr/bin/testgpu-runtime" }
)";

constexpr unsigned kMajor = 195;
constexpr unsigned kControlMinor = 255;

Manifest healthy_manifest() {
  const std::string release = "6.12.107-test";
  Manifest manifest;
  manifest.driver = "testgpu";
  manifest.version = "1.0";
  manifest.kind = Kind::complete;
  manifest.kernel_release = release;
  manifest.vermagic = release + " SMP preempt mod_unload ";
  manifest.architecture = "x86-64";
  manifest.os_id = "debian";
  manifest.os_version_id = "12";
  manifest.license = "Proprietary";
  manifest.created = 1'700'000'000;
  for (const char* name : {"testgpu", "testgpu_uvm"}) {
    ModuleRecord module;
    module.name = name;
    module.path = "usr/lib/modules/" + release + "/driverext/testgpu/" + name + ".ko";
    module.size = 4096;
    module.sha256 = std::string(64, 'a');
    module.build_id = std::string(40, name == std::string("testgpu") ? '1' : '2');
    manifest.modules.push_back(module);
  }
  return manifest;
}

void plant_kernel(const DoctorHost& host, const Manifest& manifest) {
  const std::string modules = "usr/lib/modules/" + manifest.kernel_release;
  host.write(modules + "/kernel/fs/x.ko", "a module");
  host.write(modules + "/modules.dep", "kernel/fs/x.ko:\n");
  host.write("proc/sys/kernel/tainted", "4096\n");  // an out-of-tree module, as there should be
  host.write("proc/devices", "Character devices:\n195 testgpu\n\nBlock devices:\n");
  host.write("proc/driver/testgpu/params", "DeviceFileUID: 0\nDeviceFileGID: 44\nDeviceFileMode: 432\n");
  host.write("proc/driver/testgpu/gpus/0000:01:00.0/information", "Device Minor: 0\n");
  host.write("proc/self/mountinfo", "22 1 0:20 / / rw - ext4 x rw\n40 22 0:33 / /run/testgpu/driver ro - tmpfs x ro\n");
  host.write("sys/module/firmware_class/parameters/path", "\n");
  for (const ModuleRecord& module : manifest.modules) {
    const std::string folder = "sys/module/" + module.name;
    host.write(folder + "/version", manifest.version + "\n");
    const std::string head("\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0", 16);
    host.write(folder + "/notes/.note.gnu.build-id", head + std::string(as_text(*from_hex(module.build_id))));
  }
  const std::string device = "sys/bus/pci/devices/0000:01:00.0";
  host.write(device + "/modalias", std::string(kDoctorHardware) + "\n");
  host.write("sys/bus/pci/drivers/testgpu/bind", "");
  host.link("../../drivers/testgpu", device + "/driver");
  host.link("../../../../module/testgpu", "sys/bus/pci/drivers/testgpu/module");
}

void plant_os(const DoctorHost& host) {
  host.write("usr/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
  host.write("usr/lib/systemd/system/driverext.service", "[Unit]\n");
  host.link("/usr/lib/systemd/system/driverext.service",
            "etc/systemd/system/multi-user.target.wants/driverext.service");
  host.write("usr/bin/systemd-sysext", "a program", 0755);
  host.write("etc/extensions/docker.raw", "hsqs and more");
  host.write("run/extensions/tools/usr/lib/extension-release.d/extension-release.tools", "ID=debian\nVERSION_ID=12\n");
  host.write("etc/driverext/trust/publisher.crt", "a certificate");
}

void plant_engines(const DoctorHost& host, const std::string& manifest) {
  host.write("run/driverext/mounts/" + std::string(kDoctorRootHash) + "/" + std::string(kManifestPath), manifest);
  host.write("run/testgpu/driver/" + std::string(kManifestPath), manifest);
  host.write("run/testgpu/driver/usr/lib64/libtest.so.1.0", "a library");
  host.write("run/cdi/testgpu.yaml",
             "{\"kind\": \"test.example/gpu\", \"devices\": [{\"deviceNodes\": [\n"
             "{\"path\": \"/dev/testgpu0\"}]}], \"mounts\": [{\"hostPath\": "
             "\"/run/testgpu/driver/usr/lib64/libtest.so.1.0\"}]}\n");
  host.write("dev/testgpu0", "");
  host.write("usr/bin/testgpu-runtime", "a program", 0755);
  host.write("etc/testgpu-runtime/config.toml", "[cli]\nroot = \"/run/testgpu/driver\"\n");
  host.write("etc/docker/daemon.json", "{\"runtimes\": {\"testgpu\": {\"path\": \"/usr/bin/testgpu-runtime\"}}}\n");
  host.write("etc/containerd/config.toml",
             "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes."
             "testgpu.options]\nBinaryName = \"/usr/bin/testgpu-runtime\"\n");
}

Facts healthy_facts(const Manifest& manifest) {
  Facts facts;
  facts.kernel_release = manifest.kernel_release;
  facts.architecture = "x86-64";
  facts.os_id = "debian";
  facts.os_version_id = "12";
  facts.boot_id = "this-boot";
  facts.kernel.loop = Presence::present;
  facts.kernel.dm_verity = Presence::loadable;
  facts.kernel.squashfs = Presence::loadable;
  facts.modaliases = {kDoctorHardware};
  facts.hardware_is_known = true;
  facts.loaded_modules = {"testgpu", "testgpu_uvm"};
  facts.command_line = {"quiet"};
  facts.free_bytes = uint64_t{8} << 30;
  return facts;
}

}  // namespace

DoctorHost::DoctorHost() {
  const Manifest manifest = healthy_manifest();
  plant_kernel(*this, manifest);
  plant_os(*this);
  plant_engines(*this, format_manifest(manifest));
  input.facts = healthy_facts(manifest);
  input.config = Config{};
  input.config->driver = "testgpu";
  input.definition = must(parse_definition(kDefinition, "testgpu", "testgpu.toml"));
  input.status = {{"outcome", "provisioned"},
                  {"reason", "provisioned"},
                  {"version", manifest.version},
                  {"rootHash", kDoctorRootHash}};
  input.trust_anchors = 1;
  input.images = {{Place::store, "var/lib/driverext/store/x/testgpu.raw", kDoctorRootHash, manifest}};
  input.now = 1'800'000'000;
  input.run_free_bytes = uint64_t{1} << 30;
  const DeviceNode node{kMajor, 0, 0660, 0, 44};
  nodes["dev/testgpu0"] = node;
  nodes["dev/testgpuctl"] = node;
  nodes["dev/testgpuctl"].minor = kControlMinor;
  link("../testgpu0", "dev/char/195:0");
  link("../testgpuctl", "dev/char/195:255");
  input.find_node = [this](const std::string& name) -> Result<std::optional<DeviceNode>> {
    const auto found = nodes.find(name);
    return found == nodes.end() ? std::optional<DeviceNode>() : std::optional(found->second);
  };
}

std::string DoctorHost::look(std::string_view check) const {
  const auto checks = all_checks();
  const auto found =
      std::find_if(checks.begin(), checks.end(), [&](const CheckInfo& info) { return info.name == check; });
  if (found == checks.end()) throw std::runtime_error("there is no check " + std::string(check));
  const Diagnosis diagnosis = run_check(*found, input);
  return std::string(verdict_name(diagnosis.verdict)) + ": " + diagnosis.saw;
}

void DoctorHost::write(const std::string& name, std::string_view text, mode_t mode) const {
  write_file(dir_ / name, text, mode);
}

void DoctorHost::link(const std::string& target, const std::string& name) const {
  must(dir_.dir().make_link(target, name));
}

void DoctorHost::remove(const std::string& name) const { fs::remove_all(dir_ / name); }

void DoctorHost::fail(const std::string& reason) {
  input.status = {{"outcome", "degraded"}, {"reason", reason}, {"message", "it does not work"}};
}

}  // namespace driverext::test
