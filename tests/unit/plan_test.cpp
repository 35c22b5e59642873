#include "provisioner/plan.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"
#include "support/sample_image.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;
using test::sample_builder;
using test::sample_source;
using test::SampleOptions;
using test::verdict;

KnownImage known(const SampleOptions& options) {
  return {Place::store, "x.raw", Origin::local, must(test::verify_bytes(test::kept_bytes(options)))};
}

RejectedImage rejected(const char* name, Reason reason, Place place = Place::inbox) {
  return {place, name, make_error(Errc::untrusted, reason, "bad")};
}

std::string hash_of(const SampleOptions& options) { return test::signature_of(test::kept_bytes(options))["rootHash"]; }

// What a plan is made from, and the sample driver's defaults for it.
struct Situation {
  Situation() {
    config.driver = test::kSampleDriver;
    definition.name = test::kSampleDriver;
    definition.modules.emplace_back().name = "testcam";
  }
  explicit Situation(const std::vector<SampleOptions>& images, std::vector<RejectedImage> bad = {}) : Situation() {
    for (const SampleOptions& options : images) inventory.images.push_back(known(options));
    inventory.rejected = std::move(bad);
  }
  void fail(const SampleOptions& options, Reason reason, uint64_t attempts = 1) {
    state.kernels[test::kSampleKernel].failed[hash_of(options)] = {
        options.version, std::string(reason_info(reason).code), "it failed", attempts, 1};
  }
  void know_good(const SampleOptions& options) {
    state.kernels[test::kSampleKernel].remember_good({options.driver, options.version, hash_of(options), 1});
  }
  void acquired(Reason reason, const std::string& kernel = test::kSampleKernel) {
    acquisition = Acquisition{reason, "what the last attempt said", kernel, 1};
  }
  [[nodiscard]] SelectionInput selection() const {
    return {facts, config, definition, inventory, state, tried, has_firmware, running};
  }
  [[nodiscard]] Plan plan() const { return make_plan({selection(), acquisition}); }
  // Version of the chosen image, or the verdict over there being none.
  [[nodiscard]] std::string choice() const {
    const Plan made = plan();
    return made.image ? inventory.images[*made.image].identity().version : verdict(*made.problem);
  }

  Facts facts = {test::kSampleKernel, "x86-64", "debian", "12", "boot"};
  Config config;
  Definition definition;
  Inventory inventory;
  State state;
  std::set<std::string> tried;
  FirmwareLookup has_firmware = [](const std::string&) { return false; };
  std::string running;
  std::optional<Acquisition> acquisition;
};

std::string steps(const Plan& plan) {
  std::string text;
  for (const PlannedStep& step : plan.steps) {
    EXPECT_FALSE(step.why.empty());
    text += (text.empty() ? "" : " ") + std::string(step_name(step.kind));
  }
  return text;
}

TEST(Plan, FittingImageGetsAllStepsInOrder) {
  const Plan plan = Situation({SampleOptions()}).plan();
  ASSERT_TRUE(plan.image);
  EXPECT_FALSE(plan.problem);
  EXPECT_FALSE(plan.acquire);
  EXPECT_EQ(steps(plan), "import verify attach load devices check commit");
}

TEST(Plan, NewestFittingImageIsChosenWhateverTheOrder) {
  const SampleOptions old{.version = "1.0", .created = 100};
  const SampleOptions middle{.version = "3.0", .created = 200};
  const SampleOptions newest{.version = "2.0", .created = 300};
  const SampleOptions other_kernel{.kernel_release = "6.6.6", .created = 400};
  const SampleOptions other_driver{.driver = "other", .created = 500};
  const std::vector<std::vector<SampleOptions>> orders = {{old, middle, newest, other_kernel, other_driver},
                                                          {other_driver, newest, other_kernel, middle, old},
                                                          {middle, other_driver, other_kernel, old, newest}};
  for (const auto& order : orders) EXPECT_EQ(Situation(order).choice(), "3.0");
}

TEST(Plan, OfOneVersionTheOneMadeLastIsChosen) {
  const SampleOptions old{.created = 100};
  const SampleOptions rebuilt{.created = 200};
  const Situation situation({old, rebuilt});
  EXPECT_EQ(situation.plan().image, 1U);
}

TEST(Plan, RootHashSettlesATie) {
  const SampleOptions a{.padding = 40'001};
  const SampleOptions b{.padding = 40'002};
  EXPECT_EQ(Situation({a, b}).choice(), Situation({b, a}).choice());
}

struct Rule {
  const char* name;
  std::vector<SampleOptions> images;
  std::vector<RejectedImage> bad;
  const char* problem;
  const char* words;
};

TEST(Plan, WithoutAFittingImageTheReasonIsTheLoudest) {
  const SampleOptions other_kernel{.kernel_release = "6.6.6"};
  const SampleOptions other_architecture{.architecture = "arm64"};
  const SampleOptions other_driver{.driver = "other"};
  const Rule rules[] = {
      {"nothing at all", {}, {}, "not_found/no-image", "driver testcam"},
      {"another driver's image is not this driver's", {other_driver}, {}, "not_found/no-image", "6.12.1-test"},
      {"image for another kernel", {other_kernel}, {}, "incompatible/no-image-for-kernel", "6.6.6"},
      {"image for another architecture", {other_architecture}, {}, "incompatible/no-image-for-kernel", "arm64"},
      {"a builder is no image of a driver", {sample_builder()}, {}, "not_found/no-image", "driver testcam"},
      {"a file refused now speaks louder than an absent one",
       {},
       {rejected("inbox/x.raw", Reason::unsigned_image)},
       "untrusted/unsigned-image",
       "inbox/x.raw"},
      {"and than an image for another kernel",
       {other_kernel},
       {rejected("x", Reason::data_corrupt)},
       "untrusted/data-corrupt",
       "bad"},
      {"one in quarantine is named while nothing else came",
       {},
       {rejected("q", Reason::unsigned_image, Place::quarantine)},
       "untrusted/unsigned-image",
       "q"},
      {"but does not hide that an image for this kernel is missing",
       {other_kernel},
       {rejected("q", Reason::unsigned_image, Place::quarantine)},
       "incompatible/no-image-for-kernel",
       "6.6.6"},
      {"one refused now is louder than one in quarantine",
       {},
       {rejected("q", Reason::unsigned_image, Place::quarantine), rejected("n", Reason::data_corrupt)},
       "untrusted/data-corrupt",
       "n"},
  };
  for (const Rule& rule : rules) {
    const Plan plan = Situation(rule.images, rule.bad).plan();
    EXPECT_FALSE(plan.image) << rule.name;
    EXPECT_EQ(steps(plan), "import") << rule.name;
    EXPECT_FALSE(plan.acquire) << rule.name;
    ASSERT_TRUE(plan.problem) << rule.name;
    EXPECT_EQ(verdict(*plan.problem), rule.problem) << rule.name;
    EXPECT_NE(plan.problem->message().find(rule.words), std::string::npos)
        << rule.name << ": " << plan.problem->message();
  }
}

TEST(Plan, FileThatCouldNotBeReadIsNotCalledUntrusted) {
  Situation situation;
  situation.inventory.rejected.push_back({Place::inbox, "x", os_failure(EIO, "cannot read x")});
  EXPECT_EQ(situation.choice(), "system");
}

TEST(Plan, OfTwoCopiesTheOneThatWasReadWholeIsUsed) {
  for (const size_t whole : {size_t{0}, size_t{1}}) {
    Situation situation({SampleOptions(), SampleOptions()});
    situation.inventory.images[whole].whole = true;
    EXPECT_EQ(situation.plan().image, whole);
  }
}

TEST(Plan, RefusedFilesDoNotStopAGoodImage) {
  EXPECT_TRUE(Situation({SampleOptions()}, {rejected("x", Reason::unsigned_image)}).plan().image);
}

// Which steps an image gets depends on what it holds and on what the definition knows.

Situation with_user_part(Kind kind) {
  Situation situation({SampleOptions{.kind = kind}});
  situation.definition.root = DefinedRoot{"run/testcam/driver"};
  situation.definition.check.command = {"tool"};
  situation.definition.toolkit.emplace();
  return situation;
}

TEST(Plan, CompleteImageGetsTheUserPartsSteps) {
  Situation situation = with_user_part(Kind::complete);
  EXPECT_EQ(steps(situation.plan()), "import verify attach load devices root check toolkit commit");
  situation.config.merge = true;
  EXPECT_EQ(steps(situation.plan()), "import verify attach load devices root check toolkit merge commit");
  situation.definition.check.command.clear();
  situation.definition.check.builtin.clear();
  situation.definition.toolkit.reset();
  EXPECT_EQ(steps(situation.plan()), "import verify attach load devices root merge commit");
}

TEST(Plan, ModulesAloneHaveNoUserPart) {
  Situation situation = with_user_part(Kind::modules);
  situation.config.merge = true;
  EXPECT_EQ(steps(situation.plan()), "import verify attach load devices check commit");
}

TEST(Plan, WithoutADriverRootNothingIsMountedOrChecked) {
  Situation situation = with_user_part(Kind::complete);
  situation.definition.root.reset();
  EXPECT_EQ(steps(situation.plan()), "import verify attach load devices check commit");
}

// What failed before.

const SampleOptions kOld{.version = "1.0", .created = 100};
const SampleOptions kNew{.version = "2.0", .created = 200};

TEST(PlanRollback, FailedImageComesAfterAllOthers) {
  Situation situation({kOld, kNew});
  situation.fail(kNew, Reason::check_failed);
  EXPECT_EQ(situation.choice(), "1.0");
  situation.fail(kOld, Reason::check_failed);
  EXPECT_EQ(situation.choice(), "2.0");  // both failed once: the newest again
}

TEST(PlanRollback, SingleImageThatFailedCleanlyIsTriedAgainAndThePlanSaysSo) {
  Situation situation({kNew});
  situation.fail(kNew, Reason::check_failed, kMaxAttempts - 1);
  const Plan plan = situation.plan();
  ASSERT_TRUE(plan.image);
  EXPECT_NE(plan.steps[3].why.find("check-failed"), std::string::npos) << plan.steps[3].why;
}

TEST(PlanRollback, ImageThatFailedTwiceIsNotTriedEvenAlone) {
  Situation situation({kNew});
  situation.config.channel_url = "http://channel.test/";
  situation.fail(kNew, Reason::load_interrupted, 2);
  const Plan plan = situation.plan();
  EXPECT_FALSE(plan.image);
  EXPECT_EQ(verdict(*plan.problem), "incompatible/put-aside");
  EXPECT_NE(plan.problem->message().find("2 times"), std::string::npos) << plan.problem->message();
  EXPECT_EQ(steps(plan), "import");
}

TEST(PlanRollback, ImageThatIsPutAsideDoesNotHideAnother) {
  Situation situation({kOld, kNew});
  situation.fail(kNew, Reason::load_interrupted, 2);
  EXPECT_EQ(situation.choice(), "1.0");
  situation.fail(kOld, Reason::load_interrupted, 2);
  EXPECT_EQ(situation.choice(), "incompatible/put-aside");
}

TEST(PlanRollback, NothingIsTriedTwiceInOneRun) {
  Situation situation({kOld, kNew});
  situation.fail(kNew, Reason::device_missing);
  situation.tried.insert(hash_of(kNew));
  EXPECT_EQ(situation.choice(), "1.0");
  situation.fail(kOld, Reason::device_missing);
  situation.tried.insert(hash_of(kOld));
  EXPECT_FALSE(situation.plan().image);
}

// The rungs below the store.

constexpr const char* kUrl = "http://channel.test/stable";

TEST(Ladder, SourceAndBuilderLeadToABuild) {
  const Plan plan = Situation({sample_source(), sample_builder()}).plan();
  EXPECT_TRUE(plan.acquire);
  EXPECT_EQ(verdict(*plan.problem), "transient/building");
  EXPECT_EQ(steps(plan), "import");
}

TEST(Ladder, ChannelLeadsToAFetch) {
  Situation situation;
  situation.config.channel_url = kUrl;
  EXPECT_TRUE(situation.plan().acquire);
  EXPECT_EQ(situation.choice(), "transient/fetching");
}

TEST(Ladder, ChannelComesBeforeABuild) {
  Situation situation({sample_source(), sample_builder()});
  situation.config.channel_url = kUrl;
  EXPECT_EQ(situation.choice(), "transient/fetching");
}

TEST(Ladder, ImageForAnotherKernelKeepsTheRungsOpen) {
  Situation situation({SampleOptions{.kernel_release = "6.6.6"}});
  situation.config.channel_url = kUrl;
  EXPECT_EQ(situation.choice(), "transient/fetching");
}

TEST(Ladder, FittingImageNeedsNoAcquisition) {
  Situation situation({SampleOptions(), sample_source(), sample_builder()});
  situation.config.channel_url = kUrl;
  EXPECT_EQ(situation.choice(), "1.0");
  EXPECT_FALSE(situation.plan().acquire);
}

TEST(Ladder, FailedAcquisitionTellsItsReasonAndStaysOpen) {
  Situation situation({sample_source(), sample_builder()});
  situation.acquired(Reason::build_failed);
  const Plan plan = situation.plan();
  EXPECT_TRUE(plan.acquire);
  EXPECT_EQ(verdict(*plan.problem), "not_found/build-failed");
  EXPECT_EQ(plan.problem->message(), "what the last attempt said");
}

TEST(Ladder, AcquisitionInProgressIsNoFailure) {
  Situation situation({sample_source(), sample_builder()});
  situation.acquired(Reason::building);
  EXPECT_EQ(situation.choice(), "transient/building");
}

TEST(Ladder, AcquisitionForAnotherKernelIsIgnored) {
  Situation situation({sample_source(), sample_builder()});
  situation.acquired(Reason::build_failed, "6.6.6");
  EXPECT_EQ(situation.choice(), "transient/building");
}

TEST(Ladder, NothingIsBuiltOverAnUntrustedFile) {
  Situation situation({sample_source(), sample_builder()}, {rejected("x", Reason::untrusted_signer)});
  situation.config.channel_url = kUrl;
  EXPECT_FALSE(situation.plan().acquire);
  EXPECT_EQ(situation.choice(), "untrusted/untrusted-signer");
}

TEST(Ladder, SourceWithoutABuilderForThisKernelSaysWhatIsMissing) {
  SampleOptions other = sample_builder();
  other.kernels = {"6.6.6", "6.7.0"};
  for (const auto& images : {std::vector<SampleOptions>{sample_source()}, {sample_source(), other}}) {
    const Situation situation(images);
    EXPECT_FALSE(situation.plan().acquire);
    EXPECT_EQ(situation.choice(), "not_found/builder-missing");
  }
}

TEST(Ladder, BuilderAloneBuildsNothing) { EXPECT_EQ(Situation({sample_builder()}).choice(), "not_found/no-image"); }

TEST(Ladder, SourceOfAnotherDriverIsNotBuilt) {
  SampleOptions other = sample_source();
  other.driver = "other";
  EXPECT_EQ(Situation({other, sample_builder()}).choice(), "not_found/no-image");
}

TEST(Ladder, SourceAndBuilderOfAnotherArchitectureAreNotUsed) {
  SampleOptions source = sample_source();
  source.architecture = "arm64";
  EXPECT_FALSE(Situation({source, sample_builder()}).plan().acquire);
  SampleOptions builder = sample_builder();
  builder.architecture = "arm64";
  EXPECT_EQ(Situation({sample_source(), builder}).choice(), "not_found/builder-missing");
}

TEST(Ladder, BuildingCanBeForbidden) {
  Situation situation({sample_source(), sample_builder()});
  situation.config.build = false;
  EXPECT_FALSE(situation.plan().acquire);
  EXPECT_EQ(situation.choice(), "not_found/no-image");
  situation.config.channel_url = kUrl;  // fetching is not building
  EXPECT_EQ(situation.choice(), "transient/fetching");
}

TEST(Ladder, NewestSourceIsBuilt) {
  SampleOptions old = sample_source();
  old.version = "0.9";
  old.created = 100;
  const Situation situation({old, sample_builder(), sample_source()});
  const auto input = find_build_input(situation.selection());
  ASSERT_TRUE(input);
  EXPECT_EQ(input->source, 2U);
  EXPECT_EQ(input->builder, 1U);
}

}  // namespace
}  // namespace driverext
