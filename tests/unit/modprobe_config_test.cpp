#include "modules/modprobe_config.hpp"

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::must;
using test::TempDir;

std::string options_text(const ModprobeConfig& config, const std::string& module) {
  std::string text;
  const auto found = config.options.find(module);
  if (found == config.options.end()) return text;
  for (const ModprobeLine& line : found->second) text += "[" + line.value + "]";
  return text;
}

TEST(ModprobeConfig, LinesAreKnownWithTheirPlace) {
  const TempDir root;
  test::write_file(root / "etc/modprobe.d/gpu.conf",
                   "# comment\n"
                   "options test-gpu a=1  b=\"x y\"\n"
                   "\n"
                   "blacklist old-gpu\n"
                   "install other /bin/false\n"
                   "softdep x pre: y\n"
                   "options\n");
  const ModprobeConfig config = must(read_modprobe_config(root.dir(), {}));
  EXPECT_EQ(options_text(config, "test_gpu"), "[a=1  b=\"x y\"]");
  EXPECT_EQ(config.options.at("test_gpu")[0].source, root / "etc/modprobe.d/gpu.conf:2");
  EXPECT_EQ(config.blacklist.at("old_gpu").source, root / "etc/modprobe.d/gpu.conf:4");
  EXPECT_EQ(config.install.at("other").value, "/bin/false");
}

TEST(ModprobeConfig, AFileHidesTheOneOfTheSameNameInALaterFolder) {
  const TempDir root;
  test::write_file(root / "etc/modprobe.d/a.conf", "options m here=1\n");
  test::write_file(root / "usr/lib/modprobe.d/a.conf", "options m hidden=1\n");
  test::write_file(root / "usr/lib/modprobe.d/b.conf", "options m later=1\n");
  test::write_file(root / "usr/lib/modprobe.d/c.txt", "options m no=1\n");
  EXPECT_EQ(options_text(must(read_modprobe_config(root.dir(), {})), "m"), "[here=1][later=1]");
}

TEST(ModprobeConfig, OurOwnFileIsNotRead) {
  const TempDir root;
  test::write_file(root / std::string(kOwnModprobeFile), "install m /sbin/insmod x\noptions m a=1\n");
  const ModprobeConfig config = must(read_modprobe_config(root.dir(), {}));
  EXPECT_TRUE(config.install.empty());
  EXPECT_TRUE(config.options.empty());
}

TEST(ModprobeConfig, ABackslashJoinsLines) {
  const TempDir root;
  test::write_file(root / "etc/modprobe.d/a.conf", "options m \\\n a=1 \\\n b=2\nblacklist n");
  const ModprobeConfig config = must(read_modprobe_config(root.dir(), {}));
  EXPECT_EQ(options_text(config, "m"), "[a=1  b=2]");
  EXPECT_EQ(config.blacklist.at("n").source, root / "etc/modprobe.d/a.conf:4");
}

TEST(ModprobeConfig, ABackslashStandsForTheCharacterBehindIt) {
  const TempDir root;
  test::write_file(root / "etc/modprobe.d/a.conf", "options m a=x\\\\y\\z\n# two\n\nblacklist n\\");
  const ModprobeConfig config = must(read_modprobe_config(root.dir(), {}));
  EXPECT_EQ(options_text(config, "m"), "[a=x\\yz]");
  EXPECT_EQ(config.blacklist.at("n").source, root / "etc/modprobe.d/a.conf:4");
}

TEST(ModprobeConfig, QuotesOnTheCommandLineStayWithTheParameter) {
  const TempDir root;
  const ModprobeConfig config =
      must(read_modprobe_config(root.dir(), {"gpu.words=\"A=1; B=2\"", "gpu.no name=1", "module_blacklist=\"a,b c\""}));
  ASSERT_EQ(config.command_line.at("gpu").size(), 1U);
  EXPECT_EQ(config.command_line.at("gpu")[0].value, "words=\"A=1; B=2\"");
  EXPECT_TRUE(config.blacklist.contains("a"));
  EXPECT_TRUE(config.blacklist.contains("b c"));
}

TEST(ModprobeConfig, OfSoftDependenciesTheFirstLineCounts) {
  const TempDir root;
  test::write_file(root / "etc/modprobe.d/a.conf", "softdep gpu-mem none pre: a b-c post: d\nsoftdep gpu_mem pre: e\n");
  test::write_file(root / "usr/lib/modprobe.d/b.conf", "softdep other* post: f\n");
  const ModprobeConfig config = must(read_modprobe_config(root.dir(), {}));
  const SoftDependencies* softdeps = softdeps_of(config, "gpu_mem");
  ASSERT_NE(softdeps, nullptr);
  EXPECT_EQ(softdeps->pre, (std::vector<std::string>{"a", "b-c"}));
  EXPECT_EQ(softdeps->post, std::vector<std::string>{"d"});
  ASSERT_NE(softdeps_of(config, "other_one"), nullptr);
  EXPECT_EQ(softdeps_of(config, "gpu"), nullptr);
}

TEST(ModprobeConfig, TheCommandLineGivesParametersAndBlacklists) {
  const TempDir root;
  const ModprobeConfig config =
      must(read_modprobe_config(root.dir(), {"quiet", "test-gpu.mode=3", "test_gpu.flag", ".x=1", "y.=1",
                                             "modprobe.blacklist=a,b-c", "module_blacklist=d"}));
  ASSERT_EQ(config.command_line.at("test_gpu").size(), 2U);
  EXPECT_EQ(config.command_line.at("test_gpu")[0].value, "mode=3");
  EXPECT_EQ(config.command_line.size(), 1U);
  EXPECT_EQ(config.blacklist.size(), 3U);
  EXPECT_TRUE(config.blacklist.contains("b_c"));
}

TEST(ModprobeConfig, AFileThatIsTooLargeIsAnError) {
  const TempDir root;
  test::write_file(root / "etc/modprobe.d/a.conf", std::string(2U << 20, '#'));
  EXPECT_FALSE(read_modprobe_config(root.dir(), {}));
}

}  // namespace
}  // namespace driverext
