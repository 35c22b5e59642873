// provision() as a whole, on a fake host.
#include "provisioner/provision.hpp"

#include <fcntl.h>
#include <getopt.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/json.hpp"
#include "provisioner/acquisition.hpp"
#include "provisioner/state.hpp"
#include "support/fixture.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakeHost;
using test::flipped;
using test::KernelState;
using test::must;
using test::sample_bytes;

using test::reason;

std::string root_hash() { return test::signature_of(sample_bytes())["rootHash"]; }
std::string device_name() { return "driverext-" + root_hash(); }
std::string stored() { return std::string(kStore) + "/" + root_hash() + "/testcam.raw"; }

class ProvisionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test::may_make_nodes()) GTEST_SKIP() << "device nodes cannot be made here (mknod is not permitted)";
  }
  void drop_good_image() {
    host_.drop("testcam.raw", sample_bytes());
    host_.know_image(sample_bytes());
  }
  // Runs with one thing in the way: it must stay, the reason must be told, and nothing be left behind.
  void expect_conflict(const char* expected) {
    const KernelState before = host_.kernel.state();
    EXPECT_EQ(reason(host_.provision()), expected);
    EXPECT_EQ(host_.kernel.state(), before) << test::to_text(host_.kernel.state());
  }
  FakeHost host_;
};

TEST_F(ProvisionTest, GoodImageIsProvisioned) {
  drop_good_image();
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(status.message, "testcam 1.0 for 6.12.1-test");
  ASSERT_TRUE(status.image);
  EXPECT_EQ(status.image->root_hash, root_hash());
  EXPECT_EQ(status.image->path, host_.path(stored()));
  EXPECT_EQ(status.image->signer, "CN=driverext test publisher");
  EXPECT_TRUE(status.rejected.empty());
  const KernelState& state = host_.kernel.state();
  EXPECT_EQ(state.loops, 2);
  EXPECT_TRUE(state.devices.contains(device_name()));
  EXPECT_TRUE(state.mounts.contains(host_.path("run/driverext/mounts/" + root_hash())));
  EXPECT_EQ(state.modules.at("testcam"), "aa01");
}

TEST_F(ProvisionTest, ImageMovesFromTheInboxToTheStoreAndIsRemembered) {
  drop_good_image();
  host_.provision();
  EXPECT_TRUE(must(host_.root().list(kInbox)).empty());
  EXPECT_TRUE(test::read_whole(host_.path(stored())) == sample_bytes());
  const State state = must(parse_state(test::read_whole(host_.path(kStateFile))));
  EXPECT_EQ(state.of(test::kSampleKernel).good, (std::vector<GoodImage>{{"testcam", "1.0", root_hash(), test::kNow}}));
}

TEST_F(ProvisionTest, SecondProvisionTouchesNeitherKernelNorFiles) {
  drop_good_image();
  host_.provision();
  const KernelState kernel = host_.kernel.state();
  const auto files = test::listing(host_.path(""));
  host_.kernel.forget_calls();
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned");
  for (const StepReport& step : status.steps) EXPECT_EQ(step.outcome, StepOutcome::satisfied) << step_name(step.kind);
  EXPECT_EQ(host_.kernel.side_effects(), 0);
  EXPECT_EQ(host_.kernel.state(), kernel);
  EXPECT_EQ(test::listing(host_.path("")), files);
}

TEST_F(ProvisionTest, ImageIsFoundAgainAfterAReboot) {
  drop_good_image();
  host_.provision();
  FakeHost rebooted;
  rebooted.write(stored(), test::read_whole(host_.path(stored())));
  rebooted.write(kStateFile, test::read_whole(host_.path(kStateFile)));
  rebooted.know_image(sample_bytes());
  const Status status = rebooted.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  // Nothing is new: the attempt that was noted is gone again.
  EXPECT_EQ(test::read_whole(rebooted.path(kStateFile)), test::read_whole(host_.path(kStateFile)));
}

TEST_F(ProvisionTest, UnsignedImageIsNeverLoaded) {
  host_.drop("testcam.raw", test::build_bytes({}, nullptr));
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "unsigned-image");
  EXPECT_EQ(host_.kernel.side_effects(), 0);
  ASSERT_EQ(status.rejected.size(), 1U);
  EXPECT_EQ(status.rejected[0].reason, "unsigned-image");
  EXPECT_TRUE(test::exists(host_.path("var/lib/driverext/quarantine/testcam.raw")));
  EXPECT_TRUE(test::exists(host_.path("var/lib/driverext/quarantine/testcam.raw.reason.json")));
}

TEST_F(ProvisionTest, QuarantinedImageKeepsItsReasonAtTheNextBoot) {
  host_.drop("testcam.raw", test::build_bytes({}, &test::stranger()));
  EXPECT_EQ(reason(host_.provision()), "untrusted-signer");
  EXPECT_EQ(reason(host_.provision()), "untrusted-signer");
  EXPECT_EQ(host_.kernel.side_effects(), 0);
}

TEST_F(ProvisionTest, QuarantinedImageIsUsedOnceItsSignerIsTrusted) {
  const std::string bytes = test::build_bytes({}, &test::stranger());
  host_.drop("testcam.raw", bytes);
  host_.know_image(bytes);
  EXPECT_EQ(reason(host_.provision()), "untrusted-signer");
  host_.write("etc/driverext/trust/stranger.crt", test::stranger().certificate_pem);
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_TRUE(must(host_.root().list(kQuarantine)).empty());  // the note went with it
}

TEST_F(ProvisionTest, DryRunOfABadImageTellsItsOutcome) {
  host_.drop("testcam.raw", test::build_bytes({}, nullptr));
  const PlanText plan = must(describe_plan(host_.host()));
  EXPECT_EQ(plan.outcome, Reason::unsigned_image);
  EXPECT_NE(plan.text.find("unsigned-image"), std::string::npos) << plan.text;
}

TEST_F(ProvisionTest, BadImageDoesNotKeepAGoodOneFromBeingUsed) {
  drop_good_image();
  host_.drop("aaa.raw", flipped(sample_bytes(), 600));
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(status.rejected.size(), 1U);
}

TEST_F(ProvisionTest, FileNamesThatAreNotUtf8DoNotEndTheProgram) {
  drop_good_image();
  host_.drop("\xff\xfe.raw", "garbage", 0666);
  Status status;
  ASSERT_NO_THROW(status = host_.provision());
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(must(host_.root().list(kQuarantine)).size(), 2U);
}

TEST_F(ProvisionTest, LongFileNameOfABadImageDoesNotStopAGoodOne) {
  drop_good_image();
  host_.drop(std::string(250, 'n') + ".raw", "garbage");
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "provisioned") << status.message;
  EXPECT_EQ(must(host_.root().list(kQuarantine)).size(), 2U);  // the image and its note
}

TEST_F(ProvisionTest, QuarantineKeepsFilesOfTheSameNameApart) {
  for (int i = 0; i < 3; ++i) {
    host_.drop("same.raw", "garbage " + std::to_string(i));
    host_.provision();
  }
  EXPECT_EQ(must(host_.root().list(kQuarantine)),
            (std::vector<std::string>{"same.1.raw", "same.1.raw.reason.json", "same.2.raw", "same.2.raw.reason.json",
                                      "same.raw", "same.raw.reason.json"}));
}

TEST_F(ProvisionTest, ImageSentAgainMendsADamagedOneInTheStore) {
  const uint64_t place = test::partitions_of(sample_bytes())[0].offset + 4096;
  host_.write(stored(), flipped(sample_bytes(), place));  // data that no signature check reads
  drop_good_image();
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  EXPECT_TRUE(test::read_whole(host_.path(stored())) == sample_bytes());
  EXPECT_TRUE(must(host_.root().list(kInbox)).empty());
}

TEST_F(ProvisionTest, DamagedImageSentAgainDoesNotReplaceTheWholeOne) {
  host_.write(stored(), sample_bytes());
  const uint64_t place = test::partitions_of(sample_bytes())[0].offset + 4096;
  host_.drop("testcam.raw", flipped(sample_bytes(), place));
  host_.know_image(sample_bytes());
  host_.provision();
  EXPECT_TRUE(test::read_whole(host_.path(stored())) == sample_bytes());
  EXPECT_TRUE(must(host_.root().list(kInbox)).empty());
}

TEST_F(ProvisionTest, WithoutAnImageTheReasonSaysWhichIsMissing) {
  EXPECT_EQ(reason(host_.provision()), "no-image");
  host_.drop("other.raw", test::build_bytes({.kernel_release = "6.6.6"}, &test::publisher()));
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "no-image-for-kernel");
  EXPECT_NE(status.message.find("6.6.6"), std::string::npos);
  EXPECT_EQ(host_.kernel.side_effects(), 0);
}

// The ladder: what provision itself does about it is to leave a request.

class ProvisionLadder : public ProvisionTest {
 protected:
  void store(const test::SampleOptions& options) {
    const std::string& bytes = test::kept_bytes(options);
    const std::string hash = test::signature_of(bytes)["rootHash"];
    host_.write(std::string(kStore) + "/" + hash + "/" + options.driver + ".raw", bytes);
  }
  [[nodiscard]] bool is_wanted() const { return test::exists(host_.path(kAcquireWanted)); }
};

TEST_F(ProvisionLadder, SourceAndBuilderLeaveARequest) {
  store(test::sample_source());
  store(test::sample_builder());
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "building");
  EXPECT_FALSE(status.image);
  EXPECT_TRUE(is_wanted());
  EXPECT_EQ(host_.kernel.side_effects(), 0);
}

TEST_F(ProvisionLadder, RequestGoesOnceAnImageIsThere) {
  host_.write(kAcquireWanted, "");
  drop_good_image();
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  EXPECT_FALSE(is_wanted());
}

TEST_F(ProvisionLadder, UntrustedFileLeavesNoRequest) {
  store(test::sample_source());
  store(test::sample_builder());
  host_.drop("bad.raw", test::build_bytes({}, nullptr));
  EXPECT_EQ(reason(host_.provision()), "unsigned-image");
  EXPECT_FALSE(is_wanted());
}

TEST_F(ProvisionLadder, FailedBuildIsToldUntilAnotherAttemptIsMade) {
  store(test::sample_source());
  store(test::sample_builder());
  must(write_acquisition(host_.root(), {Reason::build_failed, "x.c:1: error: no", test::kSampleKernel, 1}));
  const Status status = host_.provision();
  EXPECT_EQ(reason(status), "build-failed");
  EXPECT_EQ(status.message, "x.c:1: error: no");
  EXPECT_TRUE(is_wanted());
  must(write_acquisition(host_.root(), {Reason::building, "step 3", test::kSampleKernel, 1}));
  EXPECT_EQ(reason(host_.provision()), "building");
}

TEST_F(ProvisionLadder, KernelsThatAreReadyAreListed) {
  drop_good_image();
  store({.kernel_release = "6.13.0-next"});
  store({.driver = "other", .kernel_release = "6.14.0"});
  const Status status = host_.provision();
  EXPECT_EQ(status.kernels_ready, (std::vector<std::string>{test::kSampleKernel, "6.13.0-next"}));
}

TEST_F(ProvisionTest, NodeWithoutAnchorsLoadsNothing) {
  drop_good_image();
  must(host_.root().remove_file("etc/driverext/trust/publisher.crt"));
  EXPECT_EQ(reason(host_.provision()), "no-trust-anchor");
  EXPECT_EQ(host_.kernel.side_effects(), 0);
}

TEST_F(ProvisionTest, UnusableConfigurationIsNamed) {
  drop_good_image();
  for (const char* file : {"etc/driverext/driverext.toml", "usr/lib/driverext/drivers/testcam.toml",
                           "etc/driverext/trust/publisher.crt"}) {
    const std::string before = test::read_whole(host_.path(file));
    host_.write(file, "= nonsense");
    const Status status = host_.provision();
    EXPECT_EQ(reason(status), "config-invalid") << file;
    EXPECT_NE(status.message.find(file), std::string::npos) << status.message;
    host_.write(file, before);
  }
  EXPECT_EQ(host_.kernel.side_effects(), 0);
  EXPECT_EQ(must(host_.root().list(kInbox)).size(), 1U);  // nothing was begun
}

TEST_F(ProvisionTest, ForeignModuleOfTheSameNameIsAConflict) {
  drop_good_image();
  host_.kernel.place_module("testcam", "ffff");
  expect_conflict("module-conflict");
}

TEST_F(ProvisionTest, ModuleWithoutABuildIdIsAConflict) {
  drop_good_image();
  host_.kernel.place_module("testcore", "");
  expect_conflict("module-conflict");
}

TEST_F(ProvisionTest, ForeignMountAtTheTargetIsAConflict) {
  drop_good_image();
  host_.kernel.place_mount(host_.path("run/driverext/mounts/" + root_hash()));
  expect_conflict("mount-conflict");
}

TEST_F(ProvisionTest, ForeignDeviceOfTheSameNameIsAConflict) {
  drop_good_image();
  host_.kernel.place_device(device_name(), std::string(64, '0'));
  expect_conflict("mount-conflict");
}

TEST_F(ProvisionTest, DeviceOfOurNameOverPartOfTheImageIsAConflict) {
  drop_good_image();
  host_.kernel.place_device(device_name(), root_hash());
  expect_conflict("mount-conflict");
}

TEST_F(ProvisionTest, TableThatIsReadBackOtherwiseIsNeverMounted) {
  const std::vector<std::function<void(VerityDevice&)>> lies = {
      [](VerityDevice& device) { device.root_hash[0] = device.root_hash[0] == 'a' ? 'b' : 'a'; },
      [](VerityDevice& device) { device.salt = "-"; },
      [](VerityDevice& device) { device.data_blocks -= 1; },
  };
  for (const auto& lie : lies) {
    test::FakeHost host;
    host.drop("testcam.raw", sample_bytes());
    host.know_image(sample_bytes());
    host.kernel.misreport(lie);
    const test::KernelState before = host.kernel.state();
    EXPECT_EQ(reason(host.provision()), "mount-conflict");
    EXPECT_EQ(host.kernel.state(), before);
  }
}

TEST_F(ProvisionTest, FileSystemIsTheOneThatIsFound) {
  drop_good_image();
  host_.kernel.set_file_system(root_hash(), "erofs");
  host_.kernel.build_in("erofs");
  host_.host_modules.add("erofs", {});
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  for (const auto& [target, mount] : host_.kernel.state().mounts) EXPECT_EQ(mount.type, "erofs") << target;
}

TEST_F(ProvisionTest, FileSystemThatIsNotFoundOrNotAcceptedIsNeverMounted) {
  for (const char* type : {"", "ext4"}) {
    test::FakeHost host;
    host.drop("testcam.raw", sample_bytes());
    host.know_image(sample_bytes());
    host.kernel.set_file_system(root_hash(), type);
    const test::KernelState before = host.kernel.state();
    EXPECT_EQ(reason(host.provision()), "image-malformed") << type;
    EXPECT_EQ(host.kernel.state(), before) << type;
  }
}

TEST_F(ProvisionTest, OurOwnDeviceIsUsedAgain) {
  drop_good_image();
  host_.place_device(device_name(), sample_bytes());
  host_.kernel.build_in("squashfs");
  EXPECT_EQ(reason(host_.provision()), "provisioned");
  EXPECT_EQ(host_.kernel.state().devices.size(), 1U);
}

TEST_F(ProvisionTest, DeviceThatMetACorruptBlockIsNotUsedAgain) {
  drop_good_image();
  host_.place_device(device_name(), sample_bytes());
  host_.kernel.mark_corrupted(device_name());
  expect_conflict("data-corrupt");
}

TEST_F(ProvisionTest, CorruptModuleBlockIsUntrustedNotAFailedLoad) {
  drop_good_image();
  host_.kernel.corrupt(test::Corruption::module_block);
  expect_conflict("data-corrupt");
}

TEST_F(ProvisionTest, ManifestInTheImageMustBeTheSignedOne) {
  drop_good_image();
  host_.kernel.add_image(root_hash(),
                         {{std::string(kManifestPath), format_manifest(test::sample_manifest({.version = "9"}))}});
  expect_conflict("manifest-mismatch");
  host_.kernel.add_image(root_hash(), {{"usr/lib/empty", ""}});
  expect_conflict("manifest-mismatch");
}

TEST_F(ProvisionTest, MissingHostModuleIsNamed) {
  drop_good_image();
  host_.host_modules.remove("videodev");
  expect_conflict("dependency-missing");
  host_.host_modules.remove("dm_verity");
  expect_conflict("kernel-feature-missing");
}

TEST_F(ProvisionTest, StrayNodeDoesNotPassForTheDevice) {
  drop_good_image();
  host_.write("etc/driverext/drivers/testcam.toml",
              "name = \"testcam\"\n[[module]]\nname = \"testcam\"\n[[device]]\nnode = \"/dev/stray\"\nsysfs = "
              "\"/sys/class/video4linux/video0\"\n");
  host_.write("dev/stray", "a regular file");
  expect_conflict("device-missing");
  must(host_.root().remove_file("dev/stray"));
  ASSERT_EQ(::mknod(host_.path("dev/stray").c_str(), S_IFCHR | 0600, gnu_dev_makedev(81, 7)), 0);
  expect_conflict("device-missing");
}

TEST_F(ProvisionTest, DamagedStateIsReplacedNotFeared) {
  drop_good_image();
  for (const std::string& damaged :
       {std::string("{"), std::string(), std::string("\xff"), std::string(kMaxStateSize + 1, ' ')}) {
    host_.write(kStateFile, damaged);
    EXPECT_EQ(reason(host_.provision()), "provisioned");
    EXPECT_EQ(must(parse_state(test::read_whole(host_.path(kStateFile)))).kernels.size(), 1U);
  }
}

TEST_F(ProvisionTest, OtherKernelsAreStillRemembered) {
  drop_good_image();
  State before;
  before.kernels["6.6.6"].good = {{"testcam", "0.9", std::string(64, 'a'), 1}};
  host_.write(kStateFile, format_state(before));
  host_.provision();
  const State after = must(parse_state(test::read_whole(host_.path(kStateFile))));
  EXPECT_EQ(after.kernels.size(), 2U);
  EXPECT_EQ(after.of("6.6.6"), before.of("6.6.6"));
}

TEST_F(ProvisionTest, DescribingThePlanChangesNothing) {
  drop_good_image();
  host_.drop("bad.raw", "garbage");
  const auto files = test::listing(host_.path(""));
  const std::string text = must(describe_plan(host_.host())).text;
  EXPECT_NE(text.find("load: testcam 1.0"), std::string::npos) << text;
  EXPECT_EQ(host_.kernel.side_effects(), 0);
  EXPECT_EQ(test::listing(host_.path("")), files);
}

int run_main(const std::string& root) {
  std::string program = "provision";
  std::string option = "--root=" + root;
  char* arguments[] = {program.data(), option.data(), nullptr};
  ::optind = 0;
  return provision_main(2, arguments);
}

TEST(ProvisionMain, OneProvisionAtATime) {
  if (::geteuid() != 0) GTEST_SKIP() << "provision needs root";
  const FakeHost host;
  EXPECT_EQ(run_main(host.path("")), static_cast<int>(ExitCode::nothing_fits));
  EXPECT_EQ(Json::parse(test::read_whole(host.path(kStatusFile)))["reason"], "no-image");
  // Whoever can open the lock can hold it: only root can.
  EXPECT_EQ(must(host.root().status("run/driverext/lock"))->st_mode & 0777, 0700U);
  // Whoever comes first holds the same thing, however early it is.
  const FakeHost fresh;
  must(fresh.root().make_dirs("run/driverext/lock", 0700));
  const UniqueFd first = must(fresh.root().open_file("run/driverext/lock", O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(::flock(first.get(), LOCK_EX | LOCK_NB), 0);
  EXPECT_EQ(run_main(fresh.path("")), static_cast<int>(ExitCode::try_again));
  EXPECT_FALSE(test::exists(fresh.path(kStatusFile)));
}

}  // namespace
}  // namespace driverext
