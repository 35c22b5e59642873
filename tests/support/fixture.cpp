#include "fixture.hpp"

#include "base/json.hpp"
#include "verdict.hpp"

namespace driverext::test {
namespace {

constexpr const char* kDefinition =
    "name = \"testcam\"\n"
    "[[module]]\n"
    "name = \"testcam\"\n"
    "parameters = \"devices=1\"\n"
    "[[device]]\n"
    "node = \"/dev/video0\"\n"
    "sysfs = \"/sys/class/video4linux/video0\"\n"
    "wait = 0\n";

}  // namespace

std::string reason(const Status& status) {
  reached(status.reason);
  for (const Status::PutAside& image : status.put_aside) {
    for (const ReasonInfo& info : all_reasons()) {
      if (info.code == image.reason) reached(info.reason);
    }
  }
  return std::string(reason_info(status.reason).code);
}

FakeHost::FakeHost() : kernel(directory_.dir()) {
  write("proc/sys/kernel/osrelease", std::string(kSampleKernel) + "\n");
  write("proc/sys/kernel/random/boot_id", std::string(kSampleBoot) + "\n");
  write("proc/sys/kernel/arch", "x86_64\n");
  write("etc/os-release", "NAME=\"Debian\"\nID=debian\nVERSION_ID=\"12\"\n");
  write("etc/driverext/driverext.toml", "[driver]\nname = \"testcam\"\n");
  write("usr/lib/driverext/drivers/testcam.toml", kDefinition);
  write("etc/driverext/trust/publisher.crt", publisher().certificate_pem);
  add_host_module("loop", {});
  add_host_module("dm_verity", {"dm_mod"});
  add_host_module("squashfs", {});
  add_host_module("videodev", {"mc"});
  kernel.add_module_file({"testcam", "aa01", {"testcore", "videodev"}});
  kernel.add_module_file({"testcore", "aa02", {}});
  kernel.add_device({"testcam", kSampleNode, kSampleSysfs});
}

void FakeHost::add_host_module(const std::string& name, const std::vector<std::string>& depends) {
  std::vector<HostModule> order;
  const auto add = [&](const std::string& module, const std::vector<std::string>& needs) {
    const std::string file = "usr/lib/modules/" + std::string(kSampleKernel) + "/kernel/" + module + ".ko";
    write(file, "stand-in");
    kernel.add_module_file({module, "bb-" + module, needs});
    order.push_back({module, path(file)});
  };
  for (const std::string& need : depends) add(need, {});
  add(name, depends);
  host_modules.add(name, std::move(order));
}

std::string FakeHost::drop(std::string_view file, std::string_view bytes, mode_t mode) const {
  const std::string name = std::string(kInbox) + "/" + std::string(file);
  write(name, bytes, mode);
  return name;
}

void FakeHost::know_image(const std::string& bytes, const SampleOptions& options) {
  std::map<std::string, std::string> files = sample_files(options);
  files[std::string(kManifestPath)] = format_manifest(sample_manifest(options));
  kernel.add_image(signature_of(bytes)["rootHash"].get<std::string>(), std::move(files));
}

void FakeHost::place_device(const std::string& name, const std::string& bytes) {
  const ImageFile file = must(open_bytes(bytes));
  kernel.place_device(name, to_hex(file.signature_block().root_hash), to_hex(file.verity().salt),
                      file.verity().data_blocks);
}

Host FakeHost::host() { return {root(), kernel, host_modules, programs, now, clock}; }

Status FakeHost::provision() { return driverext::provision(host(), progress); }

}  // namespace driverext::test
