// The table of checks: its names, its documentation, and hosts that nothing is wrong with.
#include <gtest/gtest.h>

#include <set>

#include "base/text.hpp"
#include "doctor/channel_probe.hpp"
#include "doctor/survey.hpp"
#include "support/doctor_host.hpp"
#include "support/fixture_hosts.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::DoctorHost;
using test::TempDir;
using test::verdict;

TEST(DoctorTable, HasEveryPainThatIsKnown) { EXPECT_GE(all_checks().size(), 50U); }

TEST(DoctorTable, NamesAreUniqueAndFitForScripts) {
  std::set<std::string_view> names;
  for (const CheckInfo& check : all_checks()) {
    EXPECT_TRUE(names.insert(check.name).second) << check.name;
    EXPECT_EQ(check.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-"), std::string_view::npos) << check.name;
    EXPECT_FALSE(check.name.starts_with('-') || check.name.ends_with('-') || check.name.size() > 24) << check.name;
    EXPECT_FALSE(check.why.empty() || check.what_to_do.empty()) << check.name;
    EXPECT_TRUE(check.why.ends_with('.')) << check.name;
  }
}

TEST(DoctorTable, DocumentationIsTheSameTable) {
  std::vector<std::string> rows;
  for (const std::string& line : split(test::source_file("docs/doctor.md"), '\n')) {
    if (line.starts_with("| `")) rows.push_back(line);
  }
  ASSERT_EQ(rows.size(), all_checks().size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const CheckInfo& check = all_checks()[i];
    EXPECT_EQ(rows[i], "| `" + std::string(check.name) + "` | " + std::string(check.why) + " | " +
                           std::string(check.what_to_do) + " |");
  }
}

TEST(DoctorTable, HealthyHostHasNoProblem) {
  const DoctorHost host;
  for (const CheckInfo& check : all_checks()) {
    EXPECT_EQ(host.look(check.name).find("problem"), std::string::npos) << check.name << " " << host.look(check.name);
  }
}

// Most of what is known to go wrong is looked at there, and not passed over.
TEST(DoctorTable, HealthyHostIsJudged) {
  const DoctorHost host;
  size_t fine = 0;
  for (const CheckInfo& check : all_checks()) fine += host.look(check.name).starts_with("fine: ") ? 1 : 0;
  EXPECT_GE(fine, 40U);
}

TEST(DoctorTable, CheckThatCannotReadIsUnknownAndStopsNoOther) {
  DoctorHost host;
  host.remove("proc/devices");
  EXPECT_TRUE(host.look("device-node-modes").starts_with("unknown: ")) << host.look("device-node-modes");
  EXPECT_TRUE(host.look("disk-space").starts_with("fine: "));
}

TEST(DoctorTable, WithoutFactsOrDefinitionNothingIsAProblem) {
  DoctorHost host;
  host.input.facts.reset();
  host.input.facts_error = "no kernel";
  for (const CheckInfo& check : all_checks()) EXPECT_FALSE(host.look(check.name).starts_with("problem")) << check.name;
  EXPECT_EQ(host.look("loop-devices"), "unknown: no kernel");
  DoctorHost undefined;
  undefined.input.definition.reset();
  undefined.input.definition_error = "it is broken";
  for (const CheckInfo& check : all_checks()) {
    if (check.name == "configuration") continue;
    EXPECT_FALSE(undefined.look(check.name).starts_with("problem")) << check.name;
  }
  EXPECT_EQ(undefined.look("configuration"), "problem: it is broken");
}

// All problems of a fixture host, but for those named.
std::string problems(const TempDir& root, const std::set<std::string_view>& expected) {
  const DoctorInput input = survey_for_doctor(root.dir(), 1'900'000'000);
  std::string text = input.facts ? "" : "no facts: " + input.facts_error;
  for (const CheckInfo& check : all_checks()) {
    const Diagnosis diagnosis = run_check(check, input);
    if (diagnosis.verdict != Diagnosis::Verdict::problem || expected.contains(check.name)) continue;
    text += std::string(check.name) + ": " + diagnosis.saw + "\n";
  }
  return text;
}

// Nothing was done on them yet, so what is said of that is right; all else there is in order.
TEST(DoctorTable, FixtureHostsGiveNoFalseAlarm) {
  for (const std::string& name : test::fixture_host_names()) {
    const TempDir root;
    test::plant_fixture_host(name, root);
    std::set<std::string_view> expected = {"configuration"};
    if (name == "no-dm-verity") expected.insert("dm-verity");
    EXPECT_EQ(problems(root, expected), "") << name;
    // The same as nodes that wait for their first image. Not all have the device.
    expected = {"last-provision", "trust-anchors", "image-for-kernel", "hardware-present"};
    if (name == "no-dm-verity") expected.insert("dm-verity");
    // Desktop kernels load the in-tree driver of the same GPU by themselves.
    if (name == "debian-12" || name == "fedora-coreos") expected.insert("competing-driver");
    for (const char* driver : {"nvidia", "v4l2loopback"}) {
      test::write_file(root / "etc/driverext/driverext.toml", std::string("[driver]\nname = \"") + driver + "\"\n");
      const std::string definition = std::string("drivers/") + driver + ".toml";
      test::write_file(root / ("usr/lib/driverext/" + definition), test::source_file(definition));
      EXPECT_EQ(problems(root, expected), "") << name << " " << driver;
    }
  }
}

TEST(DoctorTable, HostWithoutDmVerityIsTold) {
  const TempDir root;
  test::plant_fixture_host("no-dm-verity", root);
  const DoctorInput input = survey_for_doctor(root.dir(), 1'900'000'000);
  for (const CheckInfo& check : all_checks()) {
    if (check.name != "dm-verity") continue;
    EXPECT_EQ(run_check(check, input).verdict, Diagnosis::Verdict::problem) << run_check(check, input).saw;
  }
}

TEST(DoctorTable, SurveyOfAnEmptyTreeChangesAndAssumesNothing) {
  const TempDir root;
  const DoctorInput input = survey_for_doctor(root.dir(), 1'900'000'000);
  for (const CheckInfo& check : all_checks()) (void)run_check(check, input);
  EXPECT_TRUE(test::listing(root.path()).empty());
  EXPECT_FALSE(input.config);
}

// Answers with what it was made with.
class FakeFetcher final : public Fetcher {
 public:
  explicit FakeFetcher(bool answers) : answers_(answers) {}
  Result<void> fetch(const std::string& url, uint64_t /*from*/, Sink& sink) override {
    asked = url;
    if (!answers_) return make_error(Errc::transient, Reason::channel_unreachable, "nobody is there");
    TRY_VOID(sink.begin(0));
    return sink.write(as_bytes("an index"));
  }
  std::string asked;

 private:
  bool answers_;
};

TEST(ChannelProbe, FirstBytesAreEnough) {
  FakeFetcher fetcher(true);
  EXPECT_EQ(verdict(probe_channel(fetcher, "https://channel.example/x")), "fine");
  EXPECT_EQ(fetcher.asked, "https://channel.example/x/index.cms");
}

TEST(ChannelProbe, ServerThatDoesNotAnswerIsAnError) {
  FakeFetcher fetcher(false);
  EXPECT_EQ(verdict(probe_channel(fetcher, "https://channel.example/x")), "transient/channel-unreachable");
}

}  // namespace
}  // namespace driverext
