// The lower rungs of the ladder, with a channel and a container that are played.
#include "acquire/acquire.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include "acquire/node_key.hpp"
#include "base/json.hpp"
#include "channel/client.hpp"
#include "provisioner/acquisition.hpp"
#include "support/fixture.hpp"
#include "support/sample_channel.hpp"
#include "support/tiny_elf.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakeHost;
using test::KernelState;
using test::message;
using test::must;
using test::sample_builder;
using test::sample_bytes;
using test::sample_source;
using test::SampleOptions;
using test::verdict;

constexpr const char* kBuildFolder = "var/lib/driverext/build";
constexpr const char* kBuildLog = "var/lib/driverext/build.log";
constexpr const char* kCompilerSays =
    "  CC [M]  testcam.o\n/w/source/testcam.c:7:1: error: implicit declaration of function 'gone'\nmake: *** Error 2\n";

// loop, dm_mod, dm_verity, squashfs; a device and a mount for source and builder each.
constexpr int kCallsUntilBuilt = 8;

// A host, and what its channel and its container do.
struct Situation {
  Situation() {
    host_.programs.answer = [this](const ProgramRequest& request) { return play_container(request); };
    host_.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
  }
  void store(const SampleOptions& options) {
    const std::string& bytes = test::kept_bytes(options);
    const std::string hash = test::signature_of(bytes)["rootHash"];
    host_.write(std::string(kStore) + "/" + hash + "/" + options.driver + ".raw", bytes);
    host_.know_image(bytes, options);
  }
  void note_failed(const std::string& bytes, const std::string& version) {
    State state;
    state.kernels[test::kSampleKernel].failed[test::signature_of(bytes)["rootHash"]] = {version, "check-failed", "x", 1,
                                                                                        1};
    host_.write(kStateFile, format_state(state));
  }
  void store_build_input() {
    store(sample_source());
    store(sample_builder());
  }
  void serve(const std::string& bytes, const std::string& kernel = test::kSampleKernel) {
    serve(std::vector<std::string>{bytes}, kernel);
  }
  // The first is for that kernel, a second one a userland for all.
  void serve(const std::vector<std::string>& images, const std::string& kernel) {
    host_.write("etc/driverext/driverext.toml",
                "[driver]\nname = \"testcam\"\n[channel]\nurl = \"" + std::string(test::kSampleUrl) + "\"\n");
    ChannelRelease release = test::sample_release({{1, 0, 0}});
    release.version = "1.0";
    release.images.clear();
    for (const std::string& bytes : images) {
      ChannelImage entry = test::entry_of(bytes, kernel);
      if (!release.images.empty()) {
        entry.kind = "userland";
        entry.kernel_release.clear();
      }
      server_.put(entry.file(), bytes);
      release.images.push_back(std::move(entry));
    }
    server_.put("index.cms", as_text(test::sign(test::sample_index({release}))));
  }
  Result<AcquireResult> acquire(const std::string& kernel = test::kSampleKernel) {
    AcquireRequest request;
    request.kernel_release = kernel;
    request.progress = [this](Reason reason, const std::string& what) {
      told_.push_back(std::string(reason_info(reason).code) + ": " + what);
    };
    request.remark = [this](const std::string& what) { remarks_.push_back(what); };
    return acquire_image(host_.host(), server_, request);
  }
  // What systemd-nspawn would have run: makes the modules, or says why not.
  Result<std::string> play_container(const ProgramRequest& request) {
    for (const std::string& word : request.argv) {
      if (word.starts_with("--bind=")) work_ = word.substr(7, word.find(':') - 7);  // the host's path
    }
    // Both images are mounted while it runs.
    mounts_while_building_ = host_.kernel.state().mounts.size();
    if (build_fails_) {
      request.on_output(kCompilerSays);
      return make_error(Errc::system, "systemd-nspawn exited with status 2");
    }
    request.on_output("  CC [M]  testcam.o\n");
    test::TinyModule module;
    module.depends = "testcore,videodev";
    module.vermagic = vermagic_;
    test::write_file(work_ + "/source/testcam.ko", test::tiny_module(module));
    module = {.name = "testcore", .vermagic = vermagic_, .build_id = "another build id...."};
    test::write_file(work_ + "/source/core/testcore.ko", test::tiny_module(module));
    return std::string();
  }
  // Nothing but what acquiring is for is left: kernel, work folder, half an image.
  void expect_nothing_left(const KernelState& before) {
    EXPECT_EQ(host_.kernel.state(), before) << test::to_text(host_.kernel.state());
    EXPECT_FALSE(test::exists(host_.path(kBuildFolder)));
    EXPECT_TRUE(must(host_.root().list("run/driverext/mounts")).empty());
  }
  [[nodiscard]] Inventory inventory() const {
    LazyTrust trust(host_.root());
    return must(take_inventory(host_.root(), trust, test::kNow));
  }

  FakeHost host_;
  test::FakeServer server_;
  std::vector<std::string> told_;
  std::vector<std::string> remarks_;
  std::string work_;
  std::string vermagic_ = std::string(test::kSampleKernel) + " SMP preempt mod_unload modversions ";
  bool build_fails_ = false;
  size_t mounts_while_building_ = 0;
};

class Acquire : public ::testing::Test, protected Situation {};

TEST_F(Acquire, ImageInTheStoreIsPresent) {
  store({});
  const AcquireResult result = must(acquire());
  EXPECT_EQ(result.how, Acquired::present);
  EXPECT_EQ(result.version, "1.0");
  EXPECT_EQ(host_.kernel.side_effects(), 0);
  EXPECT_TRUE(server_.requests.empty());
}

TEST_F(Acquire, ImageForAComingKernelIsImportedFromTheInbox) {
  store({});
  const SampleOptions coming{.kernel_release = "6.13.0-next"};
  host_.drop("next.raw", test::kept_bytes(coming));
  const AcquireResult result = must(acquire("6.13.0-next"));
  EXPECT_EQ(result.how, Acquired::imported);
  EXPECT_TRUE(test::exists(host_.path(std::string(kStore) + "/" + result.root_hash + "/testcam.raw")));
  EXPECT_TRUE(must(host_.root().list(kInbox)).empty());
  EXPECT_EQ(host_.kernel.side_effects(), 0);  // its modules are for later
}

TEST_F(Acquire, ImageIsFetchedFromTheChannel) {
  serve(sample_bytes());
  const AcquireResult result = must(acquire());
  EXPECT_EQ(result.how, Acquired::fetched);
  const Inventory found = inventory();
  ASSERT_EQ(found.images.size(), 1U);
  EXPECT_EQ(found.images[0].place, Place::store);
  EXPECT_EQ(found.images[0].origin, Origin::channel);
  EXPECT_TRUE(must(host_.root().list(kFetchFolder)).empty());
  ASSERT_FALSE(told_.empty());
  EXPECT_TRUE(told_.front().starts_with("fetching: ")) << told_.front();
}

TEST_F(Acquire, WhatWasFetchedIsProvisioned) {
  if (!test::may_make_nodes()) GTEST_SKIP() << "device nodes cannot be made here (mknod is not permitted)";
  serve(sample_bytes());
  host_.know_image(sample_bytes());
  EXPECT_EQ(host_.provision().reason, Reason::fetching);
  EXPECT_TRUE(test::exists(host_.path(kAcquireWanted)));
  must(acquire());
  const Status status = host_.provision();
  EXPECT_EQ(status.reason, Reason::provisioned) << status.message;
  EXPECT_EQ(status.image->origin, "channel");
  EXPECT_FALSE(test::exists(host_.path(kAcquireWanted)));
}

const SampleOptions kHalf{.created = 1'700'000'001, .userland = "1.0"};
const SampleOptions kOtherHalf{.kind = Kind::userland};

TEST_F(Acquire, UserlandOfFetchedModulesIsFetchedToo) {
  serve({test::kept_bytes(kHalf), test::kept_bytes(kOtherHalf)}, test::kSampleKernel);
  const auto result = acquire();
  ASSERT_EQ(verdict(result), "fine") << message(result);
  EXPECT_EQ(result->how, Acquired::fetched);
  host_.know_image(test::kept_bytes(kHalf), kHalf);
  host_.know_image(test::kept_bytes(kOtherHalf), kOtherHalf);
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
  EXPECT_EQ(acquire()->how, Acquired::present);
}

TEST_F(Acquire, WhereTheUserlandIsThereOnlyTheModulesAreFetched) {
  store(kOtherHalf);
  serve({test::kept_bytes(kHalf), test::kept_bytes(kOtherHalf)}, test::kSampleKernel);
  ASSERT_EQ(verdict(acquire()), "fine");
  EXPECT_EQ(server_.requests.size(), 2U);  // index, modules
}

TEST_F(Acquire, ModulesThatAreHereGetTheirUserlandFromTheChannel) {
  store(kHalf);
  serve({test::kept_bytes({.kernel_release = "7.0.0"}), test::kept_bytes(kOtherHalf)}, "7.0.0");
  EXPECT_EQ(host_.provision().reason, Reason::fetching);
  const auto result = acquire();
  ASSERT_EQ(verdict(result), "fine") << message(result);
  host_.know_image(test::kept_bytes(kOtherHalf), kOtherHalf);
  EXPECT_EQ(host_.provision().reason, Reason::provisioned);
}

TEST_F(Acquire, ChannelWithoutTheUserlandSaysWhichVersionIsMissing) {
  serve(test::kept_bytes(kHalf));
  const auto result = acquire();
  EXPECT_EQ(verdict(result), "not_found/no-image-in-channel");
  EXPECT_NE(message(result).find("userland) of testcam 1.0"), std::string::npos) << message(result);
}

TEST_F(Acquire, ChannelThatCannotBeReachedIsToldByItsReason) {
  serve(sample_bytes());
  server_.files.clear();
  EXPECT_EQ(verdict(acquire()), "transient/channel-unreachable");
}

TEST_F(Acquire, ChannelWithoutAFittingImageLeadsToABuild) {
  serve(sample_bytes(), "6.6.6");
  store_build_input();
  const auto result = acquire();
  ASSERT_EQ(message(result), "fine");
  EXPECT_EQ(result->how, Acquired::built);
  ASSERT_EQ(remarks_.size(), 1U);
  EXPECT_NE(remarks_[0].find("channel"), std::string::npos) << remarks_[0];
}

TEST_F(Acquire, ImageOfAStrangerFromTheChannelIsNotStored) {
  serve(test::build_bytes({}, &test::stranger()));
  EXPECT_EQ(acquire().error().code, Errc::untrusted);
  EXPECT_TRUE(inventory().images.empty());
  EXPECT_TRUE(inventory().rejected.empty());
}

TEST_F(Acquire, WithNothingToGoByTheReasonSaysWhatIsMissing) {
  EXPECT_EQ(verdict(acquire()), "not_found/no-image-for-kernel");
  store(sample_source());
  EXPECT_EQ(verdict(acquire()), "not_found/builder-missing");
  EXPECT_NE(message(acquire()).find("no builder image"), std::string::npos);
}

TEST_F(Acquire, BuiltImageIsSignedByTheNodeAndStored) {
  store_build_input();
  const KernelState before = host_.kernel.state();
  const auto result = acquire();
  ASSERT_EQ(message(result), "fine");
  EXPECT_EQ(result->how, Acquired::built);
  EXPECT_EQ(result->version, "1.0");
  EXPECT_EQ(mounts_while_building_, 2U);
  expect_nothing_left(before);
  const Inventory found = inventory();
  EXPECT_TRUE(found.rejected.empty());
  const KnownImage* built = nullptr;
  for (const KnownImage& known : found.images) {
    if (known.identity().root_hash == result->root_hash) built = &known;
  }
  ASSERT_NE(built, nullptr);
  EXPECT_EQ(built->origin, Origin::built);
  EXPECT_EQ(built->place, Place::store);
  EXPECT_EQ(built->identity().signer_fingerprint, must(open_node_key(host_.root())).fingerprint());
  const Manifest& manifest = *must(built->manifest());
  EXPECT_EQ(manifest.kind, Kind::modules);
  EXPECT_EQ(manifest.driver, "testcam");
  EXPECT_EQ(manifest.kernel_release, test::kSampleKernel);
  EXPECT_EQ(manifest.os_id, "debian");
  ASSERT_EQ(manifest.modules.size(), 2U);
  EXPECT_EQ(manifest.modules[0].depends, (std::vector<std::string>{"testcore", "videodev"}));
}

TEST_F(Acquire, WhatWasBuiltIsTakenBackWithItsSourceOrItsBuilder) {
  store_build_input();
  const AcquireResult result = must(acquire());
  const auto refused = [&](const std::string& revoked) {
    host_.write("etc/driverext/trust/policy.toml", "[revoked]\nroot-hashes = [\"" + revoked + "\"]\n");
    for (const RejectedImage& rejected : inventory().rejected) {
      if (rejected.name.find(result.root_hash) == std::string::npos) continue;
      return rejected.error.message().find("was built from") == std::string::npos
                 ? "another: " + rejected.error.message()
                 : verdict(rejected.error);
    }
    return std::string("fine");
  };
  EXPECT_EQ(refused(std::string(64, 'a')), "fine");
  for (const SampleOptions& input : {sample_source(), sample_builder()}) {
    EXPECT_EQ(refused(test::signature_of(test::kept_bytes(input))["rootHash"]), "untrusted/image-revoked");
  }
}

TEST_F(Acquire, BuilderIsTakenOnlyFromThoseWhoMaySignOne) {
  store_build_input();
  host_.write("etc/driverext/trust/policy.toml", "[driver.builder]\nanchors = []\n");
  EXPECT_NE(verdict(acquire()), "fine");
  EXPECT_TRUE(host_.programs.commands.empty());  // nothing was compiled
}

TEST_F(Acquire, GoodTimeIsRemembered) {
  store({});
  must(acquire());
  EXPECT_EQ(earliest_time(host_.root()), 0);
  host_.clock = ClockState::synchronised;
  must(acquire());
  EXPECT_EQ(earliest_time(host_.root()), test::kNow);
}

TEST_F(Acquire, BuildTellsHowFarItIs) {
  store_build_input();
  must(acquire());
  std::string all;
  for (const std::string& line : told_) all += line + "\n";
  for (const char* words : {"building: testcam 1.0 for 6.12.1-test: attaching", "CC testcam.o (step 1)", "packing"}) {
    EXPECT_NE(all.find(words), std::string::npos) << all;
  }
}

TEST_F(Acquire, WhatWasBuiltIsPresentTheNextTime) {
  store_build_input();
  const AcquireResult first = must(acquire());
  const AcquireResult second = must(acquire());
  EXPECT_EQ(second.how, Acquired::present);
  EXPECT_EQ(second.root_hash, first.root_hash);
  EXPECT_EQ(host_.programs.commands.size(), 1U);
}

TEST_F(Acquire, FailedBuildTellsTheFirstErrorAndLeavesOnlyTheLog) {
  store_build_input();
  build_fails_ = true;
  const KernelState before = host_.kernel.state();
  const auto stored = test::listing(host_.path(kStore));
  const auto result = acquire();
  EXPECT_EQ(verdict(result), "invalid_input/build-failed");
  EXPECT_EQ(message(result),
            "/w/source/testcam.c:7:1: error: implicit declaration of function 'gone'; the whole log is in " +
                host_.path(kBuildLog));
  expect_nothing_left(before);
  EXPECT_EQ(test::listing(host_.path(kStore)), stored);
  EXPECT_EQ(test::read_whole(host_.path(kBuildLog)), kCompilerSays);
}

TEST_F(Acquire, LogIsKeptAfterASuccessToo) {
  store_build_input();
  must(acquire());
  EXPECT_EQ(test::read_whole(host_.path(kBuildLog)), "  CC [M]  testcam.o\n");
}

TEST_F(Acquire, ModulesForAnotherKernelAreNotSigned) {
  store_build_input();
  vermagic_ = "6.6.6 SMP ";
  const auto result = acquire();
  EXPECT_EQ(verdict(result), "incompatible/build-failed");
  EXPECT_NE(message(result).find("6.6.6"), std::string::npos);
  EXPECT_EQ(inventory().images.size(), 2U);
}

TEST_F(Acquire, BuildForAComingKernelNeedsNoneOfTheRunningOnes) {
  store(sample_source());
  SampleOptions builder = sample_builder();
  builder.kernels = {"6.13.0-next"};
  store(builder);
  vermagic_ = "6.13.0-next SMP ";
  const auto result = acquire("6.13.0-next");
  ASSERT_EQ(message(result), "fine");
  EXPECT_EQ(result->how, Acquired::built);
}

TEST_F(Acquire, WhatAKilledBuildLeftIsNotInTheWay) {
  store_build_input();
  host_.write(std::string(kBuildFolder) + "/source/stale.ko", "x");
  host_.write(std::string(kBuildFolder) + "/built.raw", "x");
  const auto result = acquire();
  EXPECT_EQ(message(result), "fine");
  EXPECT_FALSE(test::exists(host_.path(kBuildFolder)));
}

TEST_F(Acquire, CorruptSourceIsNeverCompiled) {
  store_build_input();
  host_.kernel.corrupt(test::Corruption::first_block);
  const KernelState before = host_.kernel.state();
  EXPECT_EQ(verdict(acquire()), "untrusted/data-corrupt");
  EXPECT_TRUE(host_.programs.commands.empty());
  expect_nothing_left(before);
}

TEST_F(Acquire, EveryKernelCallThatFailsLeavesNothingBehind) {
  store_build_input();
  must(acquire());
  const int calls = host_.kernel.side_effects();
  ASSERT_GT(calls, kCallsUntilBuilt);
  for (int n = 1; n <= calls; ++n) {
    SCOPED_TRACE(n);
    Situation again;
    again.store_build_input();
    const KernelState before = again.host_.kernel.state();
    again.host_.kernel.fail_call(n, EIO);
    const auto result = again.acquire();
    EXPECT_FALSE(test::exists(again.host_.path(kBuildFolder)));
    if (n <= kCallsUntilBuilt) {
      EXPECT_NE(verdict(result), "fine");
      again.expect_nothing_left(before);
    }
    // Nothing stands in the way of the next one, even if what was refused is the taking away.
    again.host_.kernel.forget_calls();
    EXPECT_EQ(message(again.acquire()), "fine");
  }
}

TEST_F(Acquire, FailedImageIsWorthLookingFurther) {
  const SampleOptions old = {.version = "0.9"};
  store(old);
  store_build_input();
  note_failed(test::kept_bytes(old), "0.9");
  EXPECT_EQ(must(acquire()).how, Acquired::built);
}

// It would have another root hash, and nobody would know that it failed.
TEST_F(Acquire, WhatFailedIsNotBuiltOnceMore) {
  store({});
  store_build_input();
  note_failed(sample_bytes(), "1.0");
  EXPECT_EQ(verdict(acquire()), "not_found/no-image-for-kernel");
}

TEST_F(Acquire, OneAtATime) {
  store_build_input();
  must(host_.root().make_dirs("run/driverext/acquire-lock", 0700));
  const UniqueFd first = must(host_.root().open_file("run/driverext/acquire-lock", O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(::flock(first.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(acquire().error().code, Errc::transient);
  EXPECT_TRUE(host_.programs.commands.empty());
  ASSERT_EQ(::flock(first.get(), LOCK_UN), 0);
  EXPECT_EQ(verdict(acquire()), "fine");
}

TEST_F(Acquire, KernelReleaseThatIsNoNameIsRefused) {
  for (const char* name : {"", "../x", "a b", "6.1/../.."}) EXPECT_EQ(verdict(acquire(name)), "invalid_input") << name;
}

TEST_F(Acquire, BuildingCanBeForbidden) {
  store_build_input();
  host_.write("etc/driverext/driverext.toml", "[driver]\nname = \"testcam\"\n[build]\nenabled = false\n");
  EXPECT_EQ(verdict(acquire()), "not_found/no-image-for-kernel");
  EXPECT_TRUE(host_.programs.commands.empty());
}

TEST(NodeKeyFile, IsMadeOnceAndOnlyRootCanReadIt) {
  const test::TempDir root;
  const std::string first = must(open_node_key(root.dir())).fingerprint();
  EXPECT_EQ(must(open_node_key(root.dir())).fingerprint(), first);
  EXPECT_EQ(must(root.dir().status("var/lib/driverext/keys"))->st_mode & 0777, 0700U);
  EXPECT_EQ(must(root.dir().status("var/lib/driverext/keys/node.key"))->st_mode & 0777, 0600U);
  EXPECT_EQ(must(load_trust(root.dir())).node.size(), 1U);
}

TEST(NodeKeyFile, HalfOfItIsMadeAnewDamagedIsNot) {
  const test::TempDir root;
  const std::string first = must(open_node_key(root.dir())).fingerprint();
  must(root.dir().remove_file("var/lib/driverext/keys/node.crt"));
  const std::string second = must(open_node_key(root.dir())).fingerprint();
  EXPECT_NE(first, second);
  test::write_file(root / "var/lib/driverext/keys/node.key", "not a key");
  EXPECT_EQ(verdict(open_node_key(root.dir())), "invalid_input");
}

TEST(AcquisitionFile, RoundTrips) {
  const test::TempDir root;
  EXPECT_FALSE(read_acquisition(root.dir()));
  must(write_acquisition(root.dir(), {Reason::building, "step 3", "6.1", 42}));
  const auto read = read_acquisition(root.dir());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->reason, Reason::building);
  EXPECT_EQ(read->message, "step 3");
  EXPECT_EQ(read->kernel_release, "6.1");
  EXPECT_EQ(read->started_usec, 42U);
  EXPECT_TRUE(read->in_progress());
  EXPECT_FALSE(read->failed());
}

TEST(AcquisitionFile, OneThatCannotBeUnderstoodIsNone) {
  const test::TempDir root;
  for (const char* bad :
       {"", "{", "[]", R"({"format":1,"reason":"no-such","message":"","kernelRelease":"","startedUSec":1})",
        R"({"format":1,"reason":"building"})"}) {
    test::write_file(root / kAcquisitionFile, bad);
    EXPECT_FALSE(read_acquisition(root.dir())) << bad;
  }
}

}  // namespace
}  // namespace driverext
