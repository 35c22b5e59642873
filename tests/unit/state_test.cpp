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

TEST(State, RoundTrips) {
  State state;
  state.good["6.1.0"] = {"nvidia", "580.1", std::string(64, 'a')};
  state.good["6.12.107+deb13-amd64"] = {"v4l2loopback", "0.13", std::string(64, 'b')};
  const State read = must(parse_state(format_state(state)));
  EXPECT_EQ(read.good, state.good);
  EXPECT_EQ(format_state(read), format_state(state));
  EXPECT_TRUE(must(parse_state(format_state({}))).good.empty());
}

TEST(State, DamagedTextIsRefused) {
  const std::string good = format_state(State{{{"6.1", {"d", "1", "aa"}}}});
  for (size_t size = 0; size + 1 < good.size(); ++size) EXPECT_FALSE(parse_state(good.substr(0, size))) << size;
  for (
      const char* bad :
      {"[]", "1", "null", "{}", R"({"format":1})", R"({"format":1,"good":[]})", R"({"format":1,"good":{"6.1":[]}})",
       R"({"format":1,"good":{"6.1":{}}})", R"({"format":1,"good":{},"extra":1})", R"({"format":"1","good":{}})",
       R"({"format":1,"good":{"6.1":{"driver":"d","version":"1","rootHash":"a","x":1}}})",
       R"({"format":1,"good":{"6.1":{"driver":1,"version":"1","rootHash":"a"}}})",
       R"({"format":1,"good":{"a":{"driver":"d","version":"1","rootHash":"a"},"a":{"driver":"d","version":"1","rootHash":"b"}}})"}) {
    EXPECT_EQ(verdict(parse_state(bad)), "invalid_input") << bad;
  }
}

TEST(State, NewerFormatIsUnsupported) { EXPECT_EQ(verdict(parse_state(R"({"format":2,"good":{}})")), "unsupported"); }

Status sample_status() {
  Status status;
  status.reason = Reason::module_conflict;
  status.message = "in the way";
  status.driver = "nvidia";
  status.kernel_release = "6.1";
  status.image = ImageStatus{"580", std::string(64, 'a'), "CN=x", std::string(64, 'b'), "/store/x.raw"};
  status.steps = {{StepKind::load, StepOutcome::failed, "why", 10, 20}};
  status.rejected = {{"/inbox/x.raw", "unsigned-image", "not signed"}};
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
            "signerFingerprint image "
            "startedUSec durationUSec steps rejected ");
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
