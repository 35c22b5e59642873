// What `driverext explain` says on every fixture host, held against files. DRIVEREXT_UPDATE_GOLDEN=1 writes them anew.
#include "provisioner/explain.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/json.hpp"
#include "provisioner/survey.hpp"
#include "support/candidates.hpp"
#include "support/fixture_hosts.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;

constexpr const char* kDriver = "nvidia";

// One for this kernel, with modules as that driver has them.
Manifest gpu_manifest(const Facts& facts, const std::string& version, const std::string& flavor) {
  Manifest manifest = test::candidate_manifest(version, facts.kernel_release);
  manifest.driver = kDriver;
  manifest.flavor = flavor;
  manifest.kind = Kind::complete;
  manifest.architecture = facts.architecture;
  manifest.os_id = facts.os_id;
  manifest.vermagic = facts.kernel.vermagic;
  manifest.firmware = {"nvidia/" + version + "/gsp_ga10x.bin"};
  ModuleRecord& module = manifest.modules[0];
  module.name = "nvidia";
  module.firmware = {"nvidia/" + version + "/gsp_ga10x.bin"};
  module.depends.clear();
  module.imports.clear();
  if (facts.kernel.symbols) {
    for (const char* symbol : {"_printk", "kfree", "module_layout"}) {
      if (const auto crc = facts.kernel.symbols->find(symbol); crc && *crc != 0) module.imports[symbol] = *crc;
    }
  }
  return manifest;
}

// The images that every fixture host has: some fit, each of the others has something else against it.
void add_images(Survey& found) {
  const Facts& facts = found.facts;
  std::vector<KnownImage>& images = found.inventory.images;
  const auto add = [&](const Manifest& manifest, Origin origin = Origin::local) {
    images.push_back(test::candidate(manifest, {.origin = origin}));
    return images.back().identity().root_hash;
  };
  add(gpu_manifest(facts, "580.159.04", "open"));
  add(gpu_manifest(facts, "580.159.04", "proprietary"));
  add(gpu_manifest(facts, "590.44.01", "open"), Origin::channel);
  Manifest neighbour = gpu_manifest(facts, "580.159.04", "proprietary");
  neighbour.kernel_release = "6.1.0-55-" + facts.architecture;
  add(neighbour);
  Manifest changed = neighbour;
  changed.version = "580.126.09";
  if (!changed.modules[0].imports.empty()) changed.modules[0].imports["_printk"] = 1;
  add(changed);
  const std::string failed = add(gpu_manifest(facts, "580.160.01", "open"));
  found.state.kernels[facts.kernel_release].failed[failed] = {"580.160.01", "check-failed", "nvidia-smi ended with 9",
                                                              kMaxAttempts, 1'700'000'000};
  Manifest other_machine = gpu_manifest(facts, "580.159.04", "open");
  other_machine.architecture = facts.architecture == "arm64" ? "x86-64" : "arm64";
  add(other_machine);
  found.inventory.rejected.push_back({Place::quarantine, "var/lib/driverext/quarantine/found.raw",
                                      make_error(Errc::untrusted, Reason::unsigned_image, "the image is not signed")});
}

class ExplainHost : public ::testing::TestWithParam<std::string> {};

TEST_P(ExplainHost, IsAsExpected) {
  const test::TempDir root;
  test::plant_fixture_host(GetParam(), root);
  test::write_file(root / "etc/driverext/driverext.toml", "[driver]\nname = \"nvidia\"\n");
  test::write_file(root / "usr/lib/driverext/drivers/nvidia.toml", test::source_file("drivers/nvidia.toml"));
  Survey found;
  must(take_survey({.root = root.dir(), .now = 1'800'000'000, .depth = SurveyRequest::Depth::everything}, found));
  found.facts.free_bytes = 10ULL << 30;
  add_images(found);
  const std::set<std::string> none;
  ModprobeConfig modprobe;
  parse_modprobe_file("options nvidia NVreg_EnableGpuFirmware=1\noptions nvidia NVreg_EnableGpuFirmware=0\n",
                      "/etc/modprobe.d/gpu.conf", modprobe);
  const Explanation explanation = explain({found.selection(found.state, none), found.acquisition}, modprobe);
  std::string text = explanation_text(explanation);
  for (size_t at = 0; (at = text.find(root.path())) != std::string::npos;) text.erase(at, root.path().size());
  const std::string file = "tests/golden/expected/explain-" + GetParam() + ".txt";
  if (std::getenv("DRIVEREXT_UPDATE_GOLDEN") != nullptr) test::write_file(DRIVEREXT_SOURCE_ROOT "/" + file, text);
  EXPECT_EQ(text, test::source_file(file));
  // JSON says the same.
  const OrderedJson json = explanation_to_json(explanation);
  ASSERT_EQ(json["candidates"].size(), explanation.candidates.size());
  for (size_t i = 0; i < explanation.candidates.size(); ++i) {
    EXPECT_EQ(json["candidates"][i]["chosen"], explanation.candidates[i].is_chosen);
    EXPECT_EQ(json["candidates"][i]["requirements"].size(), explanation.candidates[i].findings.size());
  }
  EXPECT_EQ(json["outcome"], reason_info(explanation.outcome).code);
}

INSTANTIATE_TEST_SUITE_P(Fixture, ExplainHost, ::testing::ValuesIn(test::fixture_host_names()),
                         [](const auto& fixture) {
                           std::string name = fixture.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

TEST(Explain, WithoutAnImageTheLadderSaysWhatIsClosed) {
  const test::TempDir root;
  test::plant_fixture_host("flatcar-stable", root);
  test::write_file(root / "etc/driverext/driverext.toml", "[driver]\nname = \"nvidia\"\n");
  test::write_file(root / "usr/lib/driverext/drivers/nvidia.toml", test::source_file("drivers/nvidia.toml"));
  Survey found;
  must(take_survey({.root = root.dir(), .now = 1, .depth = SurveyRequest::Depth::everything}, found));
  const std::set<std::string> none;
  const Explanation explanation = explain({found.selection(found.state, none), found.acquisition});
  EXPECT_EQ(explanation.outcome, Reason::no_image);
  ASSERT_EQ(explanation.ladder.size(), 5U);
  for (const LadderRung& rung : explanation.ladder) {
    EXPECT_FALSE(rung.holds) << rung.name;
    EXPECT_FALSE(rung.why.empty()) << rung.name;
  }
  EXPECT_NE(explanation_text(explanation).find("There is no image of this driver here."), std::string::npos);
}

TEST(Explain, EveryParameterIsToldWithWhoGaveItAndWhatItOverrules) {
  Explanation explanation;
  explanation.modules = {
      {"gpu",
       {{"a=3", "/etc/modprobe.d/gpu.conf:2", {{"a=1", std::string(kDefinitionSource)}, {"a=2", "driverext.toml"}}}},
       ""},
      {"gpu_drm", {}, "the parameter modeset=1 is not given to it"}};
  const std::string text = explanation_text(explanation);
  EXPECT_NE(
      text.find("Modules of the chosen image:\n  + gpu\n      a=3 (/etc/modprobe.d/gpu.conf:2), not a=1 (the driver "
                "definition), not a=2 (driverext.toml)\n  - gpu_drm is not loaded: the parameter modeset=1 is not "
                "given to it\n"),
      std::string::npos)
      << text;
  const OrderedJson json = explanation_to_json(explanation);
  EXPECT_EQ(json["modules"][0]["parameters"][0]["from"], "/etc/modprobe.d/gpu.conf:2");
  EXPECT_EQ(json["modules"][0]["parameters"][0]["overrules"][1]["parameter"], "a=2");
  EXPECT_EQ(json["modules"][1]["loaded"], false);
}

}  // namespace
}  // namespace driverext
