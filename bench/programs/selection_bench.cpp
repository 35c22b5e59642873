// Selection and a provision with nothing to do, for bench/selection.py and bench/gates.py. One job a run.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "peak_memory.hpp"
#include "provisioner/selection/choose.hpp"
#include "provisioner/status.hpp"
#include "provisioner/survey.hpp"
#include "support/candidates.hpp"
#include "support/fixture.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;

constexpr size_t kHead = 4096;

double now_usec() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// A store of `count` images of one driver, fifty versions of it for each kernel, that were verified earlier in this
// boot. The first kernel is the running one. What they hold is never read, so their files hold little.
void fill_store(const test::FakeHost& host, size_t count) {
  std::vector<VerifiedEntry> entries;
  for (size_t i = 0; i < count; ++i) {
    Manifest manifest = test::candidate_manifest("580." + std::to_string(i % 50) + ".1",
                                                 i / 50 == 0 ? test::kSampleKernel : "6.12." + std::to_string(i / 50));
    const KnownImage image = test::candidate(manifest);
    host.write(image.name, std::string(kHead, 'x'));
    host.write(std::string(kManifestTexts) + "/" + image.identity().root_hash, format_manifest(manifest), 0600);
    VerifiedEntry entry;
    entry.folder = image.identity().root_hash;
    entry.folder_stamp = stamp_of(*must(host.root().status(std::string(kStore) + "/" + entry.folder)));
    entry.file = std::string(test::kSampleDriver) + ".raw";
    entry.file_stamp = stamp_of(*must(host.root().status(image.name)));
    entry.origin = origin_name(Origin::local);
    entry.verified_at = test::kNow;
    ImageIdentity identity = image.identity();
    identity.signer_valid_until = INT64_MAX;
    entry.identity = std::make_shared<const ImageIdentity>(std::move(identity));
    entries.push_back(std::move(entry));
  }
  VerifiedCache cache = VerifiedCache::read(host.root(), test::kSampleBoot);
  for (const VerifiedEntry& entry : entries) cache.put(entry.folder, {entry});
  cache.write(host.root());
}

// What any selection does at least: each image is opened, and its head is read.
double scan_heads(const std::vector<std::string>& files) {
  const double began = now_usec();
  std::array<char, kHead> head{};
  for (const std::string& file : files) {
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0 || ::pread(fd.get(), head.data(), head.size(), 0) < 0) std::abort();
  }
  return now_usec() - began;
}

int choose(size_t count) {
  const test::FakeHost host;
  fill_store(host, count);
  std::vector<std::string> files;
  for (const std::string& folder : must(host.root().list(kStore))) {
    files.push_back(host.path(std::string(kStore) + "/" + folder + "/" + test::kSampleDriver + ".raw"));
  }
  constexpr int kTurns = 15;
  std::vector<double> ours;
  std::vector<double> bare;
  for (int turn = 0; turn < kTurns; ++turn) {
    bare.push_back(scan_heads(files));
    const double began = now_usec();
    Survey found;
    must(take_survey({.root = host.root(), .now = test::kNow + 1}, found));
    const std::set<std::string> none;
    const Choice choice = choose_image(found.selection(found.state, none));
    ours.push_back(now_usec() - began);
    const std::string version = choice.image ? found.inventory.images[*choice.image].identity().version : "nothing";
    if (version != "580.49.1" || found.inventory.images.size() != count) {
      std::fprintf(stderr, "selection-bench: chosen is %s of %zu\n", version.c_str(), found.inventory.images.size());
      return 1;
    }
  }
  std::printf("%.1f %.1f %ld\n", median(ours), median(bare), peak_kib());
  return 0;
}

// Pre-flight of a driver with modules as large as GPU drivers have them: vermagic, 1,000 symbols of a list of
// `symvers`, dependencies, firmware.
int preflight(const std::string& symvers) {
  const test::FakeHost host;
  std::ifstream in(symvers);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const std::string modules = "usr/lib/modules/" + std::string(test::kSampleKernel);
  host.write(modules + "/symvers", text);
  host.write(modules + "/config", "CONFIG_SMP=y\nCONFIG_MODULE_UNLOAD=y\nCONFIG_MODVERSIONS=y\n");
  host.write(modules + "/modules.dep", "kernel/videodev.ko:\n");
  host.write(modules + "/modules.builtin", "kernel/drm.ko\nkernel/loop.ko\nkernel/dm-verity.ko\nkernel/squashfs.ko\n");
  const auto symbols = must(read_symbol_versions(host.root(), test::kSampleKernel));
  Manifest manifest = test::candidate_manifest("580.1", test::kSampleKernel);
  manifest.vermagic = std::string(test::kSampleKernel) + " SMP mod_unload modversions";
  manifest.modules[0].imports.clear();
  manifest.modules[0].depends = {"videodev", "drm"};
  size_t line_start = 0;
  for (size_t line = 0; manifest.modules[0].imports.size() < 1000 && line_start < text.size(); ++line) {
    const size_t end = text.find('\n', line_start);
    if (line % 20 == 0) {
      const size_t tab = text.find('\t', line_start);
      const std::string name = text.substr(tab + 1, text.find('\t', tab + 1) - tab - 1);
      if (const auto crc = symbols->find(name)) manifest.modules[0].imports[name] = *crc;
    }
    line_start = end + 1;
  }
  Survey found;
  must(take_survey({.root = host.root(), .now = test::kNow}, found));
  found.inventory.images.push_back(test::candidate(manifest));
  const std::set<std::string> none;
  std::vector<double> ours;
  for (int turn = 0; turn < 15; ++turn) {
    const double began = now_usec();
    found.facts = must(read_facts(host.root(), FactsRequest::everything()));
    const Choice choice = choose_image(found.selection(found.state, none));
    ours.push_back(now_usec() - began);
    if (!choice.image) {
      std::fprintf(stderr, "selection-bench: it does not fit: %s\n", choice.nearest->finding.sentence.c_str());
      return 1;
    }
  }
  std::printf("%.1f %zu %zu\n", median(ours), manifest.modules[0].imports.size(), symbols->size());
  return 0;
}

// What a provision does on a host that was provisioned in this boot. The kernel is a fake: what the real one does costs
// this process no instructions. Once and twice: the difference is what one costs, without what comes before it.
int nothing_to_do(const char* what) {
  test::FakeHost host;
  host.drop("testcam.raw", test::sample_bytes());
  host.know_image(test::sample_bytes());
  if (host.provision().reason != Reason::provisioned) std::abort();
  const bool twice = std::strcmp(what, "twice") == 0;
  std::vector<double> times;
  for (int turn = 0; turn < (twice ? 2 : 1); ++turn) {
    const double began = now_usec();
    const Status status = host.provision();
    must(write_status(host.root(), status));
    times.push_back(now_usec() - began);
    for (const StepReport& step : status.steps) {
      if (step.outcome == StepOutcome::satisfied) continue;
      std::fprintf(stderr, "selection-bench: %s: %s\n", std::string(step_name(step.kind)).c_str(),
                   step.message.c_str());
      return 1;
    }
  }
  std::printf("%.1f\n", times.back());
  return 0;
}

}  // namespace
}  // namespace driverext

int main(int argc, char** argv) {
  const std::string job = argc > 1 ? argv[1] : "";
  if (job == "choose" && argc == 3) return driverext::choose(std::strtoul(argv[2], nullptr, 10));
  if (job == "preflight" && argc == 3) return driverext::preflight(argv[2]);
  if (job == "nothing-to-do" && argc == 3) return driverext::nothing_to_do(argv[2]);
  std::fputs("usage: selection-bench choose COUNT | preflight SYMVERS | nothing-to-do once|twice\n", stderr);
  return 2;
}
