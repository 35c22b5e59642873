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
  state.good["6.1.0"] = {"nvidia", "580.1", std::string(64, 'a')};
  state.good["6.12.107+deb13-amd64"] = {"v4l2loopback", "0.13", std::string(64, 'b')};
  state.attempt = Attempt{"6.1.0", "590.1", std::string(64, 'c'), "the boot before"};
  state.failed[std::string(64, 'c')] = {"590.1", "load-interrupted", "the node went down", 2};
  state.failed[std::string(64, 'd')] = {"570.1", "check-failed", "it said no", 0};
  return state;
}

TEST(State, RoundTrips) {
  const State read = must(parse_state(format_state(sample_state())));
  EXPECT_EQ(read, sample_state());
  EXPECT_EQ(format_state(read), format_state(sample_state()));
  EXPECT_EQ(must(parse_state(format_state({}))), State());
}

// Written before there was anything to put aside.
TEST(State, FileOfAnOlderVersionIsRead) {
  const State read = must(parse_state(R"({"format":1,"good":{"6.1":{"driver":"d","version":"1","rootHash":"a"}}})"));
  EXPECT_EQ(read.good.at("6.1").version, "1");
  EXPECT_FALSE(read.attempt);
  EXPECT_TRUE(read.failed.empty());
}

TEST(State, MessageOfADamagedFileCanBeKept) {
  State state;
  state.failed["aa"] = {"1", "check-failed", "bytes \xff\xfe", 0};
  EXPECT_TRUE(parse_state(format_state(state)));
}

TEST(State, DamagedTextIsRefused) {
  const std::string good = format_state(sample_state());
  for (size_t size = 0; size + 1 < good.size(); ++size) EXPECT_FALSE(parse_state(good.substr(0, size))) << size;
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

TEST(State, NewerFormatIsUnsupported) { EXPECT_EQ(verdict(parse_state(R"({"format":2,"good":{}})")), "unsupported"); }

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
  const std::string newer = R"({"format":2,"good":{},"more":1})";
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
            "signerFingerprint image origin startedUSec durationUSec steps rejected putAside kernelsReady ");
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
