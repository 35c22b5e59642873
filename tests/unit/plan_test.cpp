#include "provisioner/plan.hpp"

#include <gtest/gtest.h>

#include "support/sample_image.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::build_bytes;
using test::must;
using test::publisher;
using test::SampleOptions;
using test::verdict;

const Facts kFacts = {test::kSampleKernel, "x86-64"};
const Config kConfig = {test::kSampleDriver};

// Each image is built once, whatever the number of inventories that hold it.
KnownImage known(const SampleOptions& options) {
  static std::map<std::string, std::string> built;
  const std::string key = options.driver + options.version + options.kernel_release + options.architecture +
                          std::to_string(options.created);
  if (!built.contains(key)) built[key] = build_bytes(options, &publisher());
  return {Place::store, key, must(test::verify_bytes(built[key]))};
}

RejectedImage rejected(const char* name, Reason reason, Place place = Place::inbox) {
  return {place, name, make_error(Errc::untrusted, reason, "bad")};
}

Inventory inventory(const std::vector<SampleOptions>& images, std::vector<RejectedImage> bad = {}) {
  Inventory made;
  for (const SampleOptions& options : images) made.images.push_back(known(options));
  made.rejected = std::move(bad);
  return made;
}

std::string steps(const Plan& plan) {
  std::string text;
  for (const PlannedStep& step : plan.steps) {
    EXPECT_FALSE(step.why.empty());
    text += (text.empty() ? "" : " ") + std::string(step_name(step.kind));
  }
  return text;
}

TEST(Plan, FittingImageGetsAllStepsInOrder) {
  const Plan plan = make_plan(kFacts, kConfig, inventory({{}}));
  ASSERT_TRUE(plan.image);
  EXPECT_FALSE(plan.problem);
  EXPECT_EQ(steps(plan), "import verify attach load devices commit");
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
  for (const auto& order : orders) {
    const Inventory held = inventory(order);
    const Plan plan = make_plan(kFacts, kConfig, held);
    ASSERT_TRUE(plan.image);
    EXPECT_EQ(held.images[*plan.image].image.manifest().version, "2.0");
  }
}

TEST(Plan, RootHashSettlesATie) {
  const SampleOptions a{.version = "a"};
  const SampleOptions b{.version = "b"};
  const auto choice = [](const Inventory& held) {
    return held.images[*make_plan(kFacts, kConfig, held).image].image.root_hash_hex();
  };
  EXPECT_EQ(choice(inventory({a, b})), choice(inventory({b, a})));
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
    const Plan plan = make_plan(kFacts, kConfig, inventory(rule.images, rule.bad));
    EXPECT_FALSE(plan.image) << rule.name;
    EXPECT_EQ(steps(plan), "import") << rule.name;
    ASSERT_TRUE(plan.problem) << rule.name;
    EXPECT_EQ(verdict(*plan.problem), rule.problem) << rule.name;
    EXPECT_NE(plan.problem->message().find(rule.words), std::string::npos)
        << rule.name << ": " << plan.problem->message();
  }
}

TEST(Plan, FileThatCouldNotBeReadIsNotCalledUntrusted) {
  Inventory held;
  held.rejected.push_back({Place::inbox, "x", os_failure(EIO, "cannot read x")});
  EXPECT_EQ(verdict(*make_plan(kFacts, kConfig, held).problem), "system");
}

TEST(Plan, OfTwoCopiesTheOneThatWasReadWholeIsUsed) {
  for (const size_t whole : {size_t{0}, size_t{1}}) {
    Inventory held = inventory({{}, {}});
    held.images[whole].whole = true;
    EXPECT_EQ(make_plan(kFacts, kConfig, held).image, whole);
  }
}

TEST(Plan, RefusedFilesDoNotStopAGoodImage) {
  EXPECT_TRUE(make_plan(kFacts, kConfig, inventory({{}}, {rejected("x", Reason::unsigned_image)})).image);
}

}  // namespace
}  // namespace driverext
