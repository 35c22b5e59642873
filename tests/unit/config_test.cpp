#include "provisioner/config.hpp"

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::TempDir;
using test::verdict;

// A text that must be refused, the line that the error names, and a word of it.
struct Refused {
  const char* text;
  int line;
  const char* word;
};

template <class T>
void expect_refused(const Result<T>& result, const std::string& file, const Refused& bad) {
  EXPECT_EQ(verdict(result), "invalid_input/config-invalid") << bad.text;
  const std::string place = file + ":" + std::to_string(bad.line) + ": ";
  EXPECT_TRUE(message(result).starts_with(place)) << message(result) << "\nnot at " << place;
  EXPECT_NE(message(result).find(bad.word), std::string::npos) << message(result);
}

Result<Config> config(const TempDir& root, const std::string& text) {
  test::write_file(root / kConfigFile, text);
  return read_config(root.dir());
}

TEST(Config, NamesTheDriver) {
  const TempDir root;
  EXPECT_EQ(must(config(root, "# comment\n[driver]\nname = \"nvidia\"\n")).driver, "nvidia");
}

TEST(Config, SaysWhichVersionFlavorAndHardwareAreWanted) {
  const TempDir root;
  const std::string head = "[driver]\nname = \"a\"\n";
  const Config plain = must(config(root, head));
  EXPECT_EQ(plain.version.kind, VersionWish::Kind::latest);
  EXPECT_EQ(plain.flavor, "");
  EXPECT_EQ(plain.hardware, HardwareNeed::required);
  EXPECT_EQ(plain.budget.boot_sec, 60U);
  const Config all =
      must(config(root, head + "version = \"580\"\nflavor = \"open\"\nhardware = \"optional\"\n[budget]\nboot "
                               "= 5\nfetch = 6\nbuild = 7\n"));
  EXPECT_EQ(all.version, (VersionWish{VersionWish::Kind::branch, "580"}));
  EXPECT_EQ(all.flavor, "open");
  EXPECT_EQ(all.hardware, HardwareNeed::optional);
  EXPECT_EQ(all.budget.boot_sec + all.budget.fetch_sec + all.budget.build_sec, 18U);
  EXPECT_EQ(must(config(root, head + "flavor = \"auto\"\n")).flavor, "");
}

TEST(Config, VersionWishesAreBranchesAndVersions) {
  const auto wish = [](const char* text) { return must(parse_version_wish(text)); };
  EXPECT_TRUE(wish("latest").allows("1"));
  EXPECT_TRUE(wish("580").allows("580.159.04"));
  EXPECT_TRUE(wish("580").allows("580"));
  EXPECT_FALSE(wish("580").allows("5801"));
  EXPECT_FALSE(wish("580").allows("570.1"));
  EXPECT_TRUE(wish("580.159.04").allows("580.159.04"));
  EXPECT_FALSE(wish("580.159.04").allows("580.159.04.1"));
  EXPECT_TRUE(wish("0.15.*").allows("0.15.3"));
  EXPECT_FALSE(wish("0.15.*").allows("0.16.0"));
  for (const char* bad : {"", "../x", "*", ".*", "a b", "580.*.*"}) {
    EXPECT_EQ(verdict(parse_version_wish(bad)), "invalid_input") << bad;
  }
}

TEST(Config, MissingFileSaysWhatItNeeds) {
  const TempDir root;
  EXPECT_EQ(verdict(read_config(root.dir())), "invalid_input/config-invalid");
  EXPECT_NE(message(read_config(root.dir())).find(root / kConfigFile), std::string::npos);
  EXPECT_NE(message(read_config(root.dir())).find("[driver]"), std::string::npos);
}

TEST(Config, ErrorsNameFileAndLine) {
  const Refused cases[] = {
      {"[driver]\nname = \n", 2, ""},
      {"[driver]\nname = \"a\"\nname = \"b\"\n", 3, ""},
      {"[driver]\nname = \"a\"\n\nversions = \"1\"\n", 4, "\"versions\""},
      {"[driver]\nname = \"a\"\nversion = \"../1\"\n", 3, "latest, pinned"},
      {"[driver]\nname = \"a\"\nversion = 580\n", 3, "not a string"},
      {"[driver]\nname = \"a\"\nflavor = \"a b\"\n", 3, "flavor"},
      {"[driver]\nname = \"a\"\nhardware = \"no\"\n", 3, "required and optional"},
      {"[driver]\nname = \"a\"\n[budget]\nboot = 0\n", 4, "1 to 240"},
      {"[driver]\nname = \"a\"\n[budget]\nfetch = \"5\"\n", 4, "1 to 86400"},
      {"[driver]\nname = \"a\"\n[budget]\nbuild = 86401\n", 4, "1 to 86400"},
      {"[driver]\nname = \"a\"\n[budget]\nstage = 5\n", 4, "\"stage\""},
      {"x = 1\n[driver]\nname = \"a\"\n", 1, "\"x\""},
      {"[driver]\nname = 1\n", 2, "not a string"},
      {"[driver]\n", 1, "\"name\" is missing"},
      {"\n\n[driver]\nname = \"../a\"\n", 3, "../a"},
      {"\n[drivers]\nname = \"a\"\n", 2, "\"drivers\""},
      {"driver = \"a\"\n", 1, "[driver]"},
      {"", 1, "[driver]"},
      {"[*driver]\nname = \"a\"\n", 1, "*"},
  };
  for (const Refused& bad : cases) {
    const TempDir root;
    expect_refused(config(root, bad.text), root / kConfigFile, bad);
  }
}

TEST(Config, HugeAndDeepFilesAreRefused) {
  const TempDir root;
  EXPECT_EQ(verdict(config(root, std::string((1 << 20) + 1, '#'))), "invalid_input");
  EXPECT_EQ(verdict(config(root, "a = " + std::string(100'000, '['))), "invalid_input/config-invalid");
}

TEST(Config, DefaultsBuildAndMergeNothingIntoTheHost) {
  const TempDir root;
  const Config plain = must(config(root, "[driver]\nname = \"x\"\n"));
  EXPECT_EQ(plain.channel_url, "");
  EXPECT_TRUE(plain.build);
  EXPECT_FALSE(plain.merge);
  EXPECT_FALSE(plain.take_from_vfio);
  EXPECT_FALSE(plain.toolkit);
}

TEST(Config, SaysHowFarToGo) {
  const TempDir root;
  const Config full = must(
      config(root,
             "[driver]\nname = \"x\"\n[channel]\nurl = \"https://c.test/s\"\n[build]\nenabled = "
             "false\n[host]\nmerge = true\ntake_from_vfio = true\n[toolkit]\nconfigure = [\"cdi\", \"docker\"]\n"));
  EXPECT_EQ(full.channel_url, "https://c.test/s");
  EXPECT_FALSE(full.build);
  EXPECT_TRUE(full.merge);
  EXPECT_TRUE(full.take_from_vfio);
  EXPECT_EQ(full.toolkit, (std::vector<std::string>{"cdi", "docker"}));
  const Config none = must(config(root, "[driver]\nname = \"x\"\n[toolkit]\nconfigure = []\n"));
  ASSERT_TRUE(none.toolkit);
  EXPECT_TRUE(none.toolkit->empty());  // not the same as saying nothing
}

TEST(Config, BadValuesOfEveryTableNameFileAndLine) {
  const std::string driver = "[driver]\nname = \"x\"\n";
  const Refused cases[] = {
      {"[channel]\n", 3, "\"url\" is missing"},
      {"[channel]\nurl = 1\n", 4, "not a string"},
      {"[channel]\nurl = \"ftp://x\"\n", 3, "http"},
      {"[channel]\nurl = \"http://x\"\nnames = \"y\"\n", 5, "\"names\""},
      {"[build]\nenabled = \"yes\"\n", 4, "neither true nor false"},
      {"[build]\nenable = true\n", 4, "\"enable\""},
      {"[host]\nmerge = 1\n", 4, "neither true nor false"},
      {"[host]\ntake_from_vfio = \"yes\"\n", 4, "neither true nor false"},
      {"[host]\nmerged = true\n", 4, "\"merged\""},
      {"[toolkit]\nconfigure = \"cdi\"\n", 4, "list of strings"},
      {"[toolkit]\nconfigure = [\"podman\"]\n", 3, "podman"},
      {"[toolkit]\nconfigure = [1]\n", 4, "list of strings"},
      {"[[channel]]\nurl = \"http://x\"\n", 3, "not a table"},
      {"[[host]]\nmerge = true\n", 3, "not a table"},
  };
  for (Refused bad : cases) {
    const TempDir root;
    const std::string text = driver + bad.text;
    bad.text = text.c_str();
    expect_refused(config(root, text), root / kConfigFile, bad);
  }
}

}  // namespace
}  // namespace driverext
