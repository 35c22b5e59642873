// What holds of every selection, on hosts and images made up by a generator with a fixed seed.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "provisioner/selection/choose.hpp"
#include "support/candidates.hpp"
#include "support/sample_image.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;

constexpr int kRounds = 500;

Definition with_every_module() {
  Definition definition;
  definition.modules.emplace_back().name = kEveryModule;
  return definition;
}

struct World {
  Facts facts;
  Config config;
  Definition definition = with_every_module();
  Inventory inventory;
  State state;
  std::set<std::string> tried;
  FirmwareLookup has_firmware = [](const std::string& name) { return name == "there.bin"; };
  std::string running;

  [[nodiscard]] SelectionInput input() const {
    return {facts, config, definition, inventory, state, tried, has_firmware, running};
  }
  // Root hash of the chosen one; empty if there is none.
  [[nodiscard]] std::string choice() const {
    const Choice made = choose_image(input());
    return made.image ? inventory.images[*made.image].identity().root_hash : std::string();
  }
};

class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  World world() {
    World world;
    Facts& facts = world.facts;
    facts.kernel_release = kernel();
    facts.architecture = "x86-64";
    facts.os_id = any({"debian", "flatcar", ""});
    if (often())
      facts.kernel.vermagic = facts.kernel_release + any({" SMP modversions", " SMP", " SMP preempt modversions"});
    if (often()) {
      facts.kernel.symbols = std::make_shared<const SymbolVersions>(must(SymbolVersions::parse(
          "0x00000001\ta\tvmlinux\tEXPORT_SYMBOL\t\n0x00000002\tb\tvmlinux\tEXPORT_SYMBOL\t\n", "symvers")));
    }
    facts.kernel.dm_verity = often() ? Presence::present : Presence::absent;
    facts.kernel.modules = {"videodev"};
    facts.kernel.modules_are_known = often();
    if (often()) facts.module_trust.enforced = rarely();
    facts.hardware_is_known = often();
    facts.modaliases = {any({"pci:new", "pci:old", "usb:x"})};
    if (often()) facts.free_bytes = rarely() ? 1 : 1ULL << 30;
    world.config.driver = test::kSampleDriver;
    world.config.version = must(parse_version_wish(any({"latest", "latest", "pinned", "1", "2.1"})));
    world.config.flavor = any({"", "", "open"});
    world.config.hardware = often() ? HardwareNeed::required : HardwareNeed::optional;
    if (often()) {
      world.definition.hardware = {{"old", {"pci:old"}, {"proprietary"}, "", "1"},
                                   {"new", {"pci:new"}, {"open", "proprietary"}, "1.1", ""}};
    }
    const size_t images = std::uniform_int_distribution<size_t>(0, 12)(random_);
    for (size_t i = 0; i < images; ++i) add_image(world);
    return world;
  }

  std::mt19937& random() { return random_; }
  bool often() { return chance(93); }
  bool rarely() { return chance(8); }

 private:
  bool chance(int percent) { return std::uniform_int_distribution<int>(0, 99)(random_) < percent; }
  std::string any(std::initializer_list<const char*> texts) {
    return *(texts.begin() + std::uniform_int_distribution<size_t>(0, texts.size() - 1)(random_));
  }
  std::string kernel() { return any({"6.1", "6.1", "6.2"}); }

  void add_image(World& world) {
    Manifest manifest = test::candidate_manifest(any({"1", "1.1", "2.1", "2.1.5", "2.10"}), kernel());
    manifest.driver = often() ? test::kSampleDriver : "other";
    manifest.flavor = any({"", "open", "proprietary"});
    manifest.architecture = often() ? "x86-64" : "arm64";
    manifest.os_id = any({"debian", "debian", "flatcar"});
    manifest.created = std::uniform_int_distribution<uint64_t>(1, 3)(random_);
    manifest.vermagic = manifest.kernel_release + any({" SMP modversions", " SMP modversions", " SMP"});
    ModuleRecord& module = manifest.modules[0];
    module.imports = {{"a", often() ? 1 : 9}};
    if (rarely()) module.imports["c"] = 3;
    if (rarely()) module.imports.clear();
    module.depends = {any({"videodev", "videodev", "gone"})};
    if (rarely()) module.firmware = {any({"there.bin", "gone.bin"})};
    if (rarely()) manifest.userland = manifest.version;
    manifest.license = std::to_string(world.inventory.images.size());  // so that each has a root hash of its own
    world.inventory.images.push_back(test::candidate(manifest, {.origin = rarely() ? Origin::built : Origin::local}));
    const std::string& hash = world.inventory.images.back().identity().root_hash;
    KernelMemory& memory = world.state.kernels[world.facts.kernel_release];
    if (rarely()) memory.failed[hash] = {"x", "check-failed", "x", rarely() ? kMaxAttempts : 1, 1};
    if (rarely() && memory.failure_of(hash) == nullptr)
      memory.good.push_back({test::kSampleDriver, manifest.version, hash, 1});
    if (rarely() && world.tried.empty()) world.tried.insert(hash);
    if (rarely() && world.running.empty()) world.running = hash;
    if (rarely()) world.state.pin = Pin{test::kSampleDriver, manifest.version, rarely() ? hash : ""};
  }

  std::mt19937 random_;
};

TEST(SelectionProperty, ChosenImageMeetsEveryRequirement) {
  int chosen = 0;
  for (int round = 0; round < kRounds; ++round) {
    const World world = Generator(static_cast<unsigned>(round)).world();
    const Choice choice = choose_image(world.input());
    if (!choice.image) continue;
    ++chosen;
    const std::vector<Finding> findings = must(judge(world.input(), world.inventory.images[*choice.image]));
    const Finding* unmet = first_unmet(findings);
    EXPECT_EQ(unmet, nullptr) << round << ": " << (unmet != nullptr ? unmet->sentence : "");
    EXPECT_EQ(findings.size(), kRequirements);
  }
  // The generator makes both kinds of worlds.
  EXPECT_GT(chosen, kRounds / 20);
  EXPECT_LT(chosen, kRounds * 9 / 10);
}

TEST(SelectionProperty, SomethingIsChosenIfSomethingFits) {
  for (int round = 0; round < kRounds; ++round) {
    const World world = Generator(static_cast<unsigned>(round)).world();
    const bool any_fits =
        std::any_of(world.inventory.images.begin(), world.inventory.images.end(), [&](const KnownImage& known) {
          return known.identity().driver == world.config.driver &&
                 first_unmet(must(judge(world.input(), known))) == nullptr;
        });
    const Choice choice = choose_image(world.input());
    EXPECT_EQ(choice.image.has_value(), any_fits) << round;
    const bool has_candidate =
        std::any_of(world.inventory.images.begin(), world.inventory.images.end(),
                    [&](const KnownImage& known) { return known.identity().driver == world.config.driver; });
    EXPECT_EQ(choice.nearest.has_value(), !any_fits && has_candidate) << round;
  }
}

TEST(SelectionProperty, RemovingARejectedCandidateNeverChangesTheChoice) {
  for (int round = 0; round < kRounds; ++round) {
    const World world = Generator(static_cast<unsigned>(round)).world();
    const std::string choice = world.choice();
    for (size_t i = 0; i < world.inventory.images.size(); ++i) {
      const KnownImage& known = world.inventory.images[i];
      if (known.identity().driver == world.config.driver && first_unmet(must(judge(world.input(), known))) == nullptr)
        continue;
      World fewer = world;
      fewer.inventory.images.erase(fewer.inventory.images.begin() + static_cast<std::ptrdiff_t>(i));
      EXPECT_EQ(fewer.choice(), choice) << round << ", without image " << i;
    }
  }
}

TEST(SelectionProperty, OrderOfDirectoryEntriesNeverMatters) {
  for (int round = 0; round < kRounds; ++round) {
    Generator generator(static_cast<unsigned>(round));
    const World world = generator.world();
    const std::string choice = world.choice();
    for (int i = 0; i < 5; ++i) {
      World shuffled = world;
      std::shuffle(shuffled.inventory.images.begin(), shuffled.inventory.images.end(), generator.random());
      EXPECT_EQ(shuffled.choice(), choice) << round;
    }
  }
}

}  // namespace
}  // namespace driverext
