#include "provisioner/state.hpp"

#include <gtest/gtest.h>

#include "base/json.hpp"
#include "provisioner/status.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;
using test::verdict;

State sample_state() {
  State state;
  KernelMemory& old = state.kernels["6.1.0"];
  old.good = {{"nvidia", "580.1", std::string(64, 'a'), 100}, {"nvidia", "570.1", std::string(64, 'e'), 50}};
  old.attempt = Attempt{"590.1", std::string(64, 'c'), "the boot before", 200};
  old.failed[std::string(64, 'c')] = {"590.1", "load-interrupted", "the node went down", 2, 190};
  state.kernels["6.12.107+deb13-amd64"].good = {{"v4l2loopback", "0.13", std::string(64, 'b'), 300}};
  state.kernels["6.12.107+deb13-amd64"].failed[std::string(64, 'd')] = {"0.14", "check-failed", "it said no", 1, 310};
  state.pin = Pin{"nvidia", "580.1", std::string(64, 'a')};
  return state;
}

TEST(State, RoundTrips) {
  const State read = must(parse_state(format_state(sample_state())));
  EXPECT_EQ(read, sample_state());
  EXPECT_EQ(format_state(read), format_state(sample_state()));
  EXPECT_EQ(must(parse_state(format_state({}))), State());
}

// Written before each kernel had a memory of its own.
TEST(State, FileOfFormat1IsRead) {
  const State read = must(parse_state(
      R"({"format":1,"good":{"6.1":{"driver":"d","version":"1","rootHash":"a"},"6.2":{"driver":"d","version":"2","rootHash":"b"}},
          "attempt":{"kernelRelease":"6.1","version":"3","rootHash":"c","bootId":"x"},
          "failed":{"d":{"version":"4","reason":"check-failed","message":"m","interruptions":0}}})"));
  EXPECT_EQ(read.of("6.1").good, (std::vector<GoodImage>{{"d", "1", "a", 0}}));
  EXPECT_EQ(read.of("6.2").good, (std::vector<GoodImage>{{"d", "2", "b", 0}}));
  EXPECT_EQ(read.of("6.1").attempt, (Attempt{"3", "c", "x", 0}));
  EXPECT_FALSE(read.of("6.2").attempt);
  // It did not say on which kernel.
  for (const char* kernel : {"6.1", "6.2"}) EXPECT_EQ(read.of(kernel).failed.at("d").attempts, 1U) << kernel;
}

TEST(State, LastGoodImageComesFirstAndKeepsItsTime) {
  KernelMemory memory;
  for (int i = 0; i < 6; ++i) memory.remember_good({"d", std::to_string(i), std::to_string(i), i + 1});
  ASSERT_EQ(memory.good.size(), kMaxGood);
  EXPECT_EQ(memory.good.front().version, "5");
  EXPECT_FALSE(memory.is_good("0"));  // only so many are remembered
  memory.remember_good({"d", "3", "3", 99});
  EXPECT_EQ(memory.good.front(), (GoodImage{"d", "3", "3", 4}));
  EXPECT_EQ(memory.good.size(), kMaxGood);
}

TEST(State, SecondFailurePutsAnImageAside) {
  KernelMemory memory;
  memory.remember_good({"d", "1", "a", 1});
  memory.attempt = Attempt{"1", "a", "boot", 1};
  memory.remember_failure("a", "1", "check-failed", "once", 2);
  EXPECT_TRUE(memory.is_good("a"));  // once can be a power cut
  EXPECT_FALSE(memory.failure_of("a")->is_put_aside());
  memory.remember_failure("a", "1", "load-interrupted", "twice", 3);
  EXPECT_FALSE(memory.is_good("a"));
  EXPECT_TRUE(memory.failure_of("a")->is_put_aside());
  EXPECT_EQ(*memory.failure_of("a"), (FailedImage{"1", "load-interrupted", "twice", 2, 3}));
  memory.remember_good({"d", "1", "a", 4});
  EXPECT_EQ(memory.failure_of("a"), nullptr);
  EXPECT_FALSE(memory.attempt);
}

TEST(State, OldestFailuresAreForgotten) {
  KernelMemory memory;
  for (int i = 0; i < 1000; ++i) memory.remember_failure(std::to_string(i), "1", "check-failed", "x", i);
  EXPECT_LE(memory.failed.size(), 128U);
  EXPECT_NE(memory.failure_of("999"), nullptr);
  EXPECT_EQ(memory.failure_of("0"), nullptr);
}

TEST(State, MessageOfADamagedFileCanBeKept) {
  State state;
  state.kernels["6.1"].failed["aa"] = {"1", "check-failed", "bytes \xff\xfe", 1, 1};
  EXPECT_TRUE(parse_state(format_state(state)));
}

TEST(State, DamagedTextIsRefused) {
  const std::string good = format_state(sample_state());
  for (size_t size = 0; size + 1 < good.size(); ++size) EXPECT_FALSE(parse_state(good.substr(0, size))) << size;
  for (const char* bad :
       {R"({"format":2})", R"({"format":2,"kernels":[]})", R"({"format":2,"kernels":{"6.1":[]}})",
        R"({"format":2,"kernels":{},"extra":1})", R"({"format":2,"kernels":{"6.1":{"x":1}}})",
        R"({"format":2,"kernels":{"6.1":{"good":{}}}})", R"({"format":2,"kernels":{"6.1":{"good":[1]}}})",
        R"({"format":2,"kernels":{"6.1":{"good":[{"driver":"d","version":"1"}]}}})",
        R"({"format":2,"kernels":{"6.1":{"attempt":{}}}})",
        R"({"format":2,"kernels":{"6.1":{"failed":{"a":{"version":"1","reason":"r","message":"m"}}}}})",
        R"({"format":2,"kernels":{"6.1":{"good":[{"driver":"d","version":"1","rootHash":"a","time":-1}]}}})",
        R"({"format":2,"kernels":{},"pin":{}})", R"({"format":2,"kernels":{},"pin":[]})"}) {
    EXPECT_EQ(verdict(parse_state(bad)), "invalid_input") << bad;
  }
  for (
      const char* bad :
      {"[]",
       "1",
       "null",
       "{}",
       R"({"format":1})",
       R"({"format":1,"good":[]})",
       R"({"format":1,"good":{"6.1":[]}})",
       R"({"format":1,"good":{"6.1":{}}})",
       R"({"format":1,"good":{},"extra":1})",
       R"({"format":"1","good":{}})",
       R"({"format":1,"good":{"6.1":{"driver":"d","version":"1","rootHash":"a","x":1}}})",
       R"({"format":1,"good":{},"attempt":[]})",
       R"({"format":1,"good":{},"attempt":{}})",
       R"({"format":1,"good":{},"attempt":{"kernelRelease":"6","version":"1","rootHash":"a","bootId":"b","x":1}})",
       R"({"format":1,"good":{},"failed":[]})",
       R"({"format":1,"good":{},"failed":{"aa":1}})",
       R"({"format":1,"good":{},"failed":{"aa":{"version":"1","reason":"r","message":"m"}}})",
       R"({"format":1,"good":{},"failed":{"aa":{"version":"1","reason":"r","message":"m","interruptions":-1}}})",
       R"({"format":1,"good":{},"failed":{"aa":{"version":"1","reason":"r","message":"m","interruptions":1,"x":1}}})",
       R"({"format":1,"good":{"6.1":{"driver":1,"version":"1","rootHash":"a"}}})",
       R"({"format":1,"good":{"a":{"driver":"d","version":"1","rootHash":"a"},"a":{"driver":"d","version":"1","rootHash":"b"}}})"}) {
    EXPECT_EQ(verdict(parse_state(bad)), "invalid_input") << bad;
  }
}

TEST(State, NewerFormatIsUnsupported) {
  EXPECT_EQ(verdict(parse_state(R"({"format":3,"kernels":{}})")), "unsupported");
}

TEST(StateFile, WritesOnlyWhatIsNew) {
  const test::TempDir root;
  StateFile file = StateFile::read(root.dir());
  EXPECT_EQ(file.state(), State());
  must(file.write(State()));
  EXPECT_FALSE(test::exists(root / kStateFile));
  must(file.write(sample_state()));
  const auto files = test::listing(root.path());
  must(file.write(sample_state()));
  StateFile again = StateFile::read(root.dir());
  EXPECT_EQ(again.state(), sample_state());
  must(again.write(sample_state()));
  EXPECT_EQ(test::listing(root.path()), files);
}

TEST(StateFile, EmptyStateHasNoFile) {
  const test::TempDir root;
  StateFile file = StateFile::read(root.dir());
  must(file.write(sample_state()));
  must(file.write(State()));
  EXPECT_FALSE(test::exists(root / kStateFile));
}

TEST(StateFile, DamagedOneIsBegunAnew) {
  const test::TempDir root;
  for (const std::string& damaged : {std::string("{"), std::string(kMaxStateSize + 1, ' ')}) {
    test::write_file(root / kStateFile, damaged);
    StateFile file = StateFile::read(root.dir());
    EXPECT_EQ(file.state(), State());
    must(file.write(State()));  // that it is damaged is reason enough
    EXPECT_FALSE(test::exists(root / kStateFile));
  }
}

TEST(StateFile, NewerOneIsLeftAlone) {
  const test::TempDir root;
  const std::string newer = R"({"format":3,"good":{},"more":1})";
  test::write_file(root / kStateFile, newer);
  StateFile file = StateFile::read(root.dir());
  EXPECT_EQ(file.state(), State());
  must(file.write(sample_state()));
  EXPECT_EQ(test::read_whole(root / kStateFile), newer);
}

TEST(StateFile, OneThatCannotBeReadIsNeverReplaced) {
  const test::TempDir root;
  test::write_file(root / (std::string(kStateFile) + "/a-directory"), "x");
  StateFile file = StateFile::read(root.dir());
  EXPECT_EQ(verdict(file.write(sample_state())), "system");
  EXPECT_EQ(verdict(file.write(State())), "system");
  EXPECT_TRUE(test::exists(root / (std::string(kStateFile) + "/a-directory")));
}

Status sample_status() {
  Status status;
  status.reason = Reason::module_conflict;
  status.message = "in the way";
  status.driver = "nvidia";
  status.kernel_release = "6.1";
  status.image = ImageStatus{"580", std::string(64, 'a'), "CN=x", std::string(64, 'b'), "/store/x.raw", "built"};
  status.steps = {{StepKind::load, StepOutcome::failed, "why", 10, 20}};
  status.rejected = {{"/inbox/x.raw", "unsigned-image", "not signed"}};
  status.put_aside = {{"590", std::string(64, 'c'), "check-failed", "it said no"}};
  status.kernels_ready = {"6.1", "6.2"};
  status.started_usec = 1;
  status.duration_usec = 2;
  return status;
}

TEST(Status, HasEveryMemberInAFixedOrder) {
  std::string members;
  const OrderedJson json = status_to_json(sample_status());
  for (const auto& item : json.items()) members += item.key() + " ";
  EXPECT_EQ(members,
            "format outcome reason message advice exitCode driver kernelRelease version rootHash signer "
            "signerFingerprint image origin rung startedUSec durationUSec steps rejected putAside kernelsReady ");
}

TEST(Status, SaysWhatTheReasonTableSays) {
  for (const ReasonInfo& info : all_reasons()) {
    Status status;
    status.reason = info.reason;
    const OrderedJson json = status_to_json(status);
    EXPECT_EQ(json["reason"], info.code);
    EXPECT_EQ(json["outcome"], outcome_name(info.outcome));
    EXPECT_EQ(json["exitCode"], static_cast<int>(info.exit_code));
    EXPECT_EQ(json["advice"], info.advice);
    EXPECT_FALSE(json.contains("rootHash"));  // no image was chosen
  }
}

TEST(Status, RoundTripsThroughItsFile) {
  const test::TempDir root;
  must(write_status(root.dir(), sample_status()));
  const Json read = must(parse_json(test::read_whole(root / kStatusFile), {.max_size = kMaxStatusSize}));
  EXPECT_EQ(read, Json(must(parse_json(status_to_json(sample_status()).dump()))));
  EXPECT_EQ(read["steps"][0]["step"], "load");
  EXPECT_EQ(read["steps"][0]["result"], "failed");
  EXPECT_EQ(read["rejected"][0]["reason"], "unsigned-image");
  EXPECT_EQ(read["origin"], "built");
  EXPECT_EQ(read["putAside"][0]["version"], "590");
  EXPECT_EQ(read["putAside"][0]["reason"], "check-failed");
  EXPECT_EQ(read["kernelsReady"], Json({"6.1", "6.2"}));
}

TEST(Status, BytesOfADamagedFileInItsTextDoNotBreakIt) {
  const test::TempDir root;
  Status status = sample_status();
  status.message = "bytes \xff\xfe";
  status.rejected[0].path = "/inbox/\xc3.raw";
  must(write_status(root.dir(), status));
  EXPECT_TRUE(parse_json(test::read_whole(root / kStatusFile)));
}

}  // namespace
}  // namespace driverext
