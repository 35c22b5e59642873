// Requirements, one by one: each with an image that meets it and one that does not.
#include <gtest/gtest.h>

#include "provisioner/explain.hpp"
#include "support/candidates.hpp"
#include "support/sample_image.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::candidate;
using test::candidate_manifest;
using test::kSampleKernel;
using test::must;

constexpr const char* kOtherKernel = "6.12.2-test";
constexpr const char* kCard = "pci:v00001234d00000001sv0sd0bc03";
constexpr const char* kOldCard = "pci:v00001234d00000000sv0sd0bc03";

std::shared_ptr<const SymbolVersions> symbols(const std::string& text) {
  return std::make_shared<const SymbolVersions>(must(SymbolVersions::parse(text, "symvers")));
}

// A host that tells everything, and that the candidate manifests are for.
class Selection : public ::testing::Test {
 protected:
  Selection() {
    facts_.kernel_release = kSampleKernel;
    facts_.architecture = "x86-64";
    facts_.os_id = "debian";
    facts_.os_version_id = "12";
    facts_.kernel.vermagic = std::string(kSampleKernel) + " SMP preempt mod_unload modversions";
    facts_.kernel.symbols =
        symbols("0x00000011\t_printk\tvmlinux\tEXPORT_SYMBOL\t\n0x00000022\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n");
    facts_.kernel.loop = facts_.kernel.dm_verity = facts_.kernel.squashfs = Presence::present;
    facts_.kernel.modules = {"videodev"};
    facts_.kernel.modules_are_known = true;
    facts_.module_trust.enforced = false;
    facts_.module_trust.lockdown = "none";
    facts_.hardware_is_known = true;
    facts_.modaliases = {kCard};
    facts_.free_bytes = 1ULL << 30;
    config_.driver = test::kSampleDriver;
    definition_.name = test::kSampleDriver;
    definition_.modules.emplace_back().name = kEveryModule;
  }
  [[nodiscard]] SelectionInput input() const {
    return {facts_, config_, definition_, inventory_, state_, tried_, has_firmware_, running_};
  }
  void add(const Manifest& manifest, const test::CandidateOptions& options = {}) {
    inventory_.images.push_back(candidate(manifest, options));
  }
  // "chosen exact", or the reason and requirement that speak against the one that comes closest.
  [[nodiscard]] std::string choice() const {
    const Choice made = choose_image(input());
    if (made.image) return inventory_.images[*made.image].identity().version + " " + std::string(rung_name(made.rung));
    if (!made.nearest) return "nothing";
    test::reached(made.nearest->finding.reason);
    return std::string(reason_info(made.nearest->finding.reason).code) + " " +
           std::string(requirement_name(made.nearest->finding.requirement));
  }
  // The verdict on one requirement of the first image, and what is said of it.
  [[nodiscard]] Finding finding(Requirement requirement) const {
    for (const Finding& each : must(judge(input(), inventory_.images.front()))) {
      if (each.requirement == requirement) return each;
    }
    return {};
  }
  void expect_untold(Requirement requirement) {
    EXPECT_EQ(verdict_name(finding(requirement).verdict), "untold") << finding(requirement).sentence;
    EXPECT_EQ(choice(), "1.0 exact");
  }
  std::string only(const Manifest& manifest) {
    inventory_.images.clear();
    add(manifest);
    return choice();
  }

  Manifest good_ = candidate_manifest("1.0", kSampleKernel);
  Manifest foreign_ = candidate_manifest("1.0", kOtherKernel);
  Facts facts_;
  Config config_;
  Definition definition_;
  Inventory inventory_;
  State state_;
  std::set<std::string> tried_;
  std::set<std::string> firmware_;
  FirmwareLookup has_firmware_ = [this](const std::string& name) { return firmware_.contains(name); };
  std::string running_;
};

TEST_F(Selection, EveryRequirementIsJudgedOnceAndInOrder) {
  add(good_);
  const std::vector<Finding> findings = must(judge(input(), inventory_.images.front()));
  ASSERT_EQ(findings.size(), kRequirements);
  for (size_t i = 0; i < kRequirements; ++i) {
    EXPECT_EQ(findings[i].requirement, static_cast<Requirement>(i));
    EXPECT_EQ(findings[i].verdict, Verdict::met) << requirement_name(findings[i].requirement);
    EXPECT_FALSE(findings[i].sentence.empty());
  }
  EXPECT_EQ(choice(), "1.0 exact");
}

TEST_F(Selection, OtherDriversAndOtherKindsAreNoCandidates) {
  Manifest other = good_;
  other.driver = "other";
  EXPECT_EQ(only(other), "nothing");
  Manifest source = good_;
  source.kind = Kind::source;
  EXPECT_EQ(only(source), "nothing");
}

TEST_F(Selection, RefusedFilesAreJudgedByTheirReason) {
  const RejectedImage unsigned_file{Place::inbox, "x", make_error(Errc::untrusted, Reason::unsigned_image, "no")};
  EXPECT_EQ(first_unmet(judge_rejected(unsigned_file))->requirement, Requirement::trusted);
  for (const Reason reason : {Reason::signer_revoked, Reason::image_revoked}) {
    const RejectedImage revoked{Place::inbox, "x", make_error(Errc::untrusted, reason, "no")};
    EXPECT_EQ(first_unmet(judge_rejected(revoked))->requirement, Requirement::not_revoked);
    EXPECT_EQ(first_unmet(judge_rejected(revoked))->reason, reason);
    test::reached(reason);
  }
}

TEST_F(Selection, ImageThatWasPutAsideIsNotUsed) {
  add(good_);
  const std::string hash = inventory_.images.front().identity().root_hash;
  FailedImage& failed = state_.kernels[kSampleKernel].failed[hash];
  failed = {"1.0", "check-failed", "it said no", 1, 1};
  EXPECT_EQ(choice(), "1.0 exact");  // once is not enough, alone
  failed.attempts = kMaxAttempts;
  EXPECT_EQ(choice(), "put-aside not-put-aside");
  failed.attempts = 0;
  tried_.insert(hash);
  EXPECT_EQ(choice(), "put-aside not-put-aside");
}

TEST_F(Selection, ArchitectureIsTheMachines) {
  good_.architecture = "arm64";
  EXPECT_EQ(only(good_), "wrong-architecture architecture");
}

TEST_F(Selection, ImageForAnotherKernelIsUsedIfAllItsSymbolsHaveTheSameType) {
  EXPECT_EQ(only(foreign_), "1.0 kabi");
  add(candidate_manifest("0.9", kSampleKernel));
  EXPECT_EQ(choice(), "0.9 exact");  // but not if there is one for this kernel
}

TEST_F(Selection, ImageForAnotherKernelIsRefusedWhereTheKernelWouldRefuseIt) {
  Manifest without_versions = foreign_;
  without_versions.vermagic = std::string(kOtherKernel) + " SMP preempt mod_unload";
  EXPECT_EQ(only(without_versions), "kernel-mismatch kernel");
  Manifest realtime = foreign_;
  realtime.vermagic = std::string(kOtherKernel) + " SMP preempt_rt mod_unload modversions";
  EXPECT_EQ(only(realtime), "vermagic-mismatch vermagic");
  Manifest changed = foreign_;
  changed.modules[0].imports["_printk"] = 0x99;
  EXPECT_EQ(only(changed), "symbol-mismatch symbols");
  EXPECT_NE(finding(Requirement::symbols).sentence.find("_printk"), std::string::npos);
  Manifest newer = foreign_;
  newer.modules[0].imports["new_symbol"] = 1;
  EXPECT_EQ(only(newer), "symbol-missing symbols");
  // Of the same type, but not for this module to use.
  facts_.kernel.symbols = symbols(
      "0x00000011\t_printk\tvmlinux\tEXPORT_SYMBOL_GPL\t\n0x00000022\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n");
  foreign_.modules[0].license = "Proprietary";
  EXPECT_EQ(only(foreign_), "symbol-missing symbols");
  foreign_.modules[0].license = "Dual MIT/GPL";
  EXPECT_EQ(only(foreign_), "1.0 kabi");
  facts_.kernel.symbols = symbols(
      "0x00000011\t_printk\tdrivers/x/"
      "a-helper\tEXPORT_SYMBOL\t\n0x00000022\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n");
  EXPECT_EQ(only(foreign_), "symbol-missing symbols");
  facts_.kernel.modules = {"a_helper"};
  foreign_.modules[0].depends = {"a_helper"};
  EXPECT_EQ(only(foreign_), "1.0 kabi");
  facts_.kernel.symbols = symbols(
      "0x00000011\t_printk\tvmlinux\tEXPORT_SYMBOL\tSOME_NS\n0x00000022\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n");
  EXPECT_EQ(only(foreign_), "fit-unknown symbols");
  facts_.kernel.vermagic = std::string(kSampleKernel) + " SMP preempt mod_unload";
  EXPECT_EQ(only(foreign_), "kernel-mismatch kernel");
}

TEST_F(Selection, ImageForAnotherKernelIsRefusedWhereNothingTellsWhetherItFits) {
  facts_.kernel.symbols = nullptr;
  EXPECT_EQ(only(foreign_), "fit-unknown symbols");
  EXPECT_EQ(only(good_), "1.0 exact");
  facts_.kernel.symbols = symbols("0x00000011\t_printk\tvmlinux\tEXPORT_SYMBOL\t\n");
  Manifest bare = foreign_;
  bare.modules[0].imports.clear();
  EXPECT_EQ(only(bare), "fit-unknown symbols");
  Manifest siblings = foreign_;
  siblings.modules.push_back(siblings.modules[0]);
  siblings.modules[1].name = "helper";
  siblings.modules[1].imports = {{"_printk", 0x11}};
  siblings.modules[0].imports = {{"_printk", 0x11}, {"helper_call", 0x33}};
  siblings.modules[0].depends = {"helper"};
  EXPECT_EQ(only(siblings), "fit-unknown symbols");  // made before manifests told of exports
  siblings.modules[1].exports = {"helper_call"};
  EXPECT_EQ(only(siblings), "1.0 kabi");
  facts_.kernel.vermagic.clear();
  EXPECT_EQ(only(siblings), "fit-unknown vermagic");
}

TEST_F(Selection, ExactImageIsRefusedIfTheHostTellsOtherSymbols) {
  Manifest changed = good_;
  changed.modules[0].imports["_printk"] = 0x99;
  EXPECT_EQ(only(changed), "symbol-mismatch symbols");
  changed.vermagic = std::string(kSampleKernel) + " SMP mod_unload modversions";
  EXPECT_EQ(only(changed), "vermagic-mismatch vermagic");
}

TEST_F(Selection, WhatTheKernelHasTakenBeforeIsNotAskedAgain) {
  good_.modules[0].imports["_printk"] = 0x99;
  add(good_);
  state_.kernels[kSampleKernel].remember_good(
      {test::kSampleDriver, "1.0", inventory_.images.front().identity().root_hash, 1});
  EXPECT_EQ(choice(), "1.0 exact");
}

// Another maker's driver on the host is in no list of the kernel's.
TEST_F(Selection, SymbolOfAnExactImageMayBeAHostModules) {
  good_.modules[0].imports["their_symbol"] = 1;
  EXPECT_EQ(only(good_), "symbol-missing symbols");
  good_.modules[0].depends = {"videodev"};
  inventory_.images.clear();
  add(good_);
  expect_untold(Requirement::symbols);
}

TEST_F(Selection, ImageThatIsNoLongerWhatWasVerifiedStopsTheChoice) {
  class Exchanged final : public KnownImage::Source {
   public:
    [[nodiscard]] Result<VerifiedImage> reopen(const KnownImage& /*known*/) const override {
      return make_error(Errc::untrusted, Reason::signature_invalid, "it was changed");
    }
    [[nodiscard]] std::optional<std::string> manifest_text(const KnownImage& /*known*/) const override { return {}; }
  };
  add(candidate_manifest("1.0", kSampleKernel));
  const KnownImage newer = candidate(candidate_manifest("2.0", kSampleKernel));
  inventory_.images.emplace_back(Place::store, newer.name, Origin::local, newer.shared_identity(),
                                 std::make_shared<Exchanged>());
  EXPECT_EQ(choice(), "signature-invalid trusted");
}

TEST_F(Selection, DependenciesAreInTheImageOrOnTheHost) {
  good_.modules[0].depends = {"videodev"};
  EXPECT_EQ(only(good_), "1.0 exact");
  good_.modules[0].depends = {"videodev", "gone"};
  EXPECT_EQ(only(good_), "dependency-missing dependencies");
  facts_.kernel.builtin = {"gone"};
  EXPECT_EQ(only(good_), "1.0 exact");
  facts_.kernel.builtin.clear();
  facts_.kernel.modules_are_known = false;
  expect_untold(Requirement::dependencies);
}

// Nothing of a module that the driver does without is asked for: where the kernel does not take it, it is left out.
TEST_F(Selection, OnlyModulesThatMustBeLoadedSpeakAgainstAnImage) {
  definition_.modules = std::vector<DefinedModule>(2);
  definition_.modules[0].name = good_.modules[0].name;
  definition_.modules[1].name = "peer";
  definition_.modules[1].optional = true;
  ModuleRecord peer = good_.modules[0];
  peer.name = "peer";
  peer.depends = {"ib_core"};
  peer.imports["ib_register_peer_memory_client"] = 0x33;
  good_.modules.push_back(peer);
  EXPECT_EQ(only(good_), "1.0 exact");
  // Unless one of them needs it.
  good_.modules[0].depends = {"peer"};
  EXPECT_EQ(only(good_), "dependency-missing dependencies");
}

TEST_F(Selection, ModulesAreSignedWithAKeyThatTheKernelWants) {
  const std::string id(40, 'a');
  facts_.module_trust.enforced = true;
  facts_.module_trust.keys_are_known = true;
  facts_.module_trust.keys = {{"a key", id}};
  EXPECT_EQ(only(good_), "module-key-unknown module-signature");
  good_.modules[0].signature_key_id = "BB:BB";  // a serial number: the keyring shows none
  inventory_.images.clear();
  add(good_);
  expect_untold(Requirement::module_signature);
  std::string other;
  for (int i = 0; i < 20; ++i) other += (i == 0 ? "" : ":") + std::string("BB");
  good_.modules[0].signature_key_id = other;
  EXPECT_EQ(only(good_), "module-key-unknown module-signature");
  std::string known;
  for (int i = 0; i < 20; ++i) known += (i == 0 ? "" : ":") + std::string("AA");
  good_.modules[0].signature_key_id = known;
  EXPECT_EQ(only(good_), "1.0 exact");
  good_.modules[0].signature_key_id.clear();
  facts_.module_trust.enforced = false;
  facts_.module_trust.lockdown = "integrity";
  EXPECT_EQ(only(good_), "module-key-unknown module-signature");
  facts_.is_running = false;
  inventory_.images.clear();
  add(good_);
  expect_untold(Requirement::module_signature);
}

class HardwareSelection : public Selection {
 protected:
  HardwareSelection() {
    definition_.hardware = {{"old cards", {"pci:v00001234d00000000*"}, {"proprietary"}, "", "580"},
                            {"new cards", {"pci:v00001234d0000000[1-9]*"}, {"open", "proprietary"}, "2.0", ""}};
  }
  Manifest of(const std::string& version, const std::string& flavor) {
    Manifest manifest = candidate_manifest(version, kSampleKernel);
    manifest.flavor = flavor;
    return manifest;
  }
};

TEST_F(HardwareSelection, MachineWithoutADeviceHasNoUseForTheDriver) {
  facts_.modaliases = {"pci:v00008086d00000001"};
  EXPECT_EQ(only(of("3.0", "")), "no-hardware hardware");
  config_.hardware = HardwareNeed::optional;
  EXPECT_EQ(only(of("3.0", "")), "3.0 exact");
  facts_.hardware_is_known = false;
  config_.hardware = HardwareNeed::required;
  EXPECT_EQ(only(of("3.0", "")), "3.0 exact");  // the kernel will tell
}

TEST_F(HardwareSelection, FlavorAndVersionAreThoseThatTheDeviceTakes) {
  EXPECT_EQ(only(of("3.0", "open")), "3.0 exact");
  EXPECT_EQ(only(of("1.0", "open")), "hardware-unsupported hardware");
  facts_.modaliases = {kOldCard};
  EXPECT_EQ(only(of("3.0", "open")), "hardware-unsupported hardware");
  EXPECT_EQ(only(of("580.159.04", "proprietary")), "580.159.04 exact");  // newest = "580" is a branch
  EXPECT_EQ(only(of("590.1", "proprietary")), "hardware-unsupported hardware");
  facts_.modaliases = {kOldCard, kCard};
  EXPECT_EQ(only(of("590.1", "proprietary")), "590.1 exact");  // for one of them
}

TEST_F(HardwareSelection, AutoTakesTheFlavorThatSuitsTheDeviceBest) {
  add(of("3.0", "proprietary"));
  add(of("3.0", "open"));
  Choice made = choose_image(input());
  EXPECT_EQ(inventory_.images[*made.image].identity().flavor, "open");
  config_.flavor = "proprietary";
  made = choose_image(input());
  EXPECT_EQ(inventory_.images[*made.image].identity().flavor, "proprietary");
  add(of("4.0", "proprietary"));
  config_.flavor.clear();
  EXPECT_EQ(choice(), "4.0 exact");  // a newer version comes first
}

TEST_F(HardwareSelection, FlavorThatIsAskedForIsTheOnlyOne) {
  config_.flavor = "proprietary";
  EXPECT_EQ(only(of("3.0", "open")), "not-wanted version");
}

TEST_F(Selection, ModulesWithoutTheirUserlandAreHalfADriver) {
  good_.userland = "1.0";
  add(good_);
  EXPECT_EQ(choice(), "userland-missing userland");
  Manifest userland = candidate_manifest("1.0", "");
  userland.kind = Kind::userland;
  userland.kernel_release.clear();
  userland.vermagic.clear();
  userland.modules.clear();
  add(userland);
  EXPECT_EQ(choice(), "1.0 exact");
}

TEST_F(Selection, FirmwareIsInTheImagesOrOnTheHost) {
  good_.modules[0].firmware = {"cam/a.bin", "cam/b.bin"};
  EXPECT_EQ(only(good_), "firmware-missing firmware");
  firmware_ = {"cam/b.bin"};
  EXPECT_EQ(only(good_), "1.0 exact");  // which of them is a matter of the device
  firmware_.clear();
  good_.kind = Kind::complete;
  good_.firmware = {"cam/a.bin"};
  EXPECT_EQ(only(good_), "1.0 exact");
  good_.firmware.clear();  // as images were made before they told
  inventory_.images.clear();
  add(good_);
  expect_untold(Requirement::firmware);
}

TEST_F(Selection, ImageIsForThisOs) {
  good_.os_id = "flatcar";
  EXPECT_EQ(only(good_), "os-mismatch os");
  facts_.os_id = "flatcar";
  facts_.os_version_id = "another";  // the kernel decides, not the OS's version
  EXPECT_EQ(only(good_), "1.0 exact");
  facts_.os_id.clear();
  inventory_.images.clear();
  add(good_);
  expect_untold(Requirement::os);
}

TEST_F(Selection, VersionIsTheOneThatIsAskedFor) {
  add(candidate_manifest("570.1", kSampleKernel));
  add(candidate_manifest("580.2", kSampleKernel));
  add(candidate_manifest("580.159.04", kSampleKernel));
  add(candidate_manifest("590.1", kSampleKernel));
  EXPECT_EQ(choice(), "590.1 exact");
  config_.version = {VersionWish::Kind::branch, "580"};
  EXPECT_EQ(choice(), "580.159.04 exact");  // as numbers
  config_.version = {VersionWish::Kind::exact, "570.1"};
  EXPECT_EQ(choice(), "570.1 exact");
  config_.version = {VersionWish::Kind::exact, "1.0"};
  EXPECT_EQ(choice(), "not-wanted version");
}

TEST_F(Selection, PinnedNodeStaysWithWhatItHas) {
  add(candidate_manifest("580.1", kSampleKernel));
  add(candidate_manifest("590.1", kSampleKernel));
  config_.version.kind = VersionWish::Kind::pinned;
  EXPECT_EQ(choice(), "590.1 exact");  // it has none yet
  state_.kernels["6.6.6"].good = {{test::kSampleDriver, "580.1", "elsewhere", 5}};
  EXPECT_EQ(choice(), "580.1 exact");
  state_.pin = Pin{test::kSampleDriver, "590.1", ""};
  EXPECT_EQ(choice(), "590.1 exact");  // a person's word counts more
  state_.pin = Pin{test::kSampleDriver, "1.0", ""};
  EXPECT_EQ(choice(), "not-wanted version");
  state_.pin = Pin{"another driver", "1.0", ""};
  EXPECT_EQ(choice(), "580.1 exact");
}

TEST_F(Selection, PinOfAnImageIsThatImage) {
  add(good_);
  Manifest rebuilt = good_;
  rebuilt.created += 1;
  add(rebuilt);
  state_.pin = Pin{test::kSampleDriver, "1.0", inventory_.images[0].identity().root_hash};
  EXPECT_EQ(choose_image(input()).image, 0U);
  state_.pin.reset();
  EXPECT_EQ(choose_image(input()).image, 1U);
}

TEST_F(Selection, WhatWasGoodHereIsBetterThanNoDriver) {
  add(candidate_manifest("570.1", kSampleKernel));
  config_.version = {VersionWish::Kind::branch, "580"};
  EXPECT_EQ(choice(), "not-wanted version");
  state_.kernels[kSampleKernel].remember_good(
      {test::kSampleDriver, "570.1", inventory_.images[0].identity().root_hash, 1});
  EXPECT_EQ(choice(), "570.1 previous");
  add(candidate_manifest("580.1", kSampleKernel));
  EXPECT_EQ(choice(), "580.1 exact");
}

TEST_F(Selection, AfterAFailureTheLastGoodImageIsThePreviousOne) {
  add(candidate_manifest("1.0", kSampleKernel));
  add(candidate_manifest("2.0", kSampleKernel));
  add(candidate_manifest("1.5", kSampleKernel));
  state_.kernels[kSampleKernel].remember_good(
      {test::kSampleDriver, "1.0", inventory_.images[0].identity().root_hash, 1});
  EXPECT_EQ(choice(), "2.0 exact");
  tried_.insert(inventory_.images[1].identity().root_hash);
  EXPECT_EQ(choice(), "1.0 previous");  // no further experiment with 1.5
}

TEST_F(Selection, ImageThatRunsStays) {
  add(candidate_manifest("1.0", kSampleKernel));
  add(candidate_manifest("2.0", kSampleKernel));
  running_ = inventory_.images[0].identity().root_hash;
  EXPECT_EQ(choice(), "1.0 exact");
}

TEST_F(Selection, ThereIsRoomForWhatIsWritten) {
  facts_.free_bytes = 1000;
  EXPECT_EQ(only(good_), "no-space space");
  facts_.free_bytes.reset();
  inventory_.images.clear();
  add(good_);
  expect_untold(Requirement::space);
}

TEST_F(Selection, KernelCanAttachImages) {
  facts_.kernel.dm_verity = Presence::absent;
  EXPECT_EQ(only(good_), "kernel-feature-missing kernel-features");
  facts_.kernel.dm_verity = Presence::loadable;
  facts_.kernel.squashfs = Presence::absent;
  EXPECT_EQ(only(good_), "1.0 exact");  // erofs may do
  facts_.kernel.erofs = Presence::absent;
  EXPECT_EQ(only(good_), "kernel-feature-missing kernel-features");
  facts_.kernel.squashfs = facts_.kernel.loop = Presence::unknown;
  inventory_.images.clear();
  add(good_);
  expect_untold(Requirement::kernel_features);
}

TEST_F(Selection, NewerBuildOfOneVersionComesFirst) {
  add(good_);
  Manifest rebuilt = good_;
  rebuilt.created += 1;
  add(rebuilt);
  EXPECT_EQ(choose_image(input()).image, 1U);
  inventory_.images[1].origin = Origin::built;
  EXPECT_EQ(choose_image(input()).image, 0U);  // the node's own work comes behind a publisher's
}

}  // namespace
}  // namespace driverext
