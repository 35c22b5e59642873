#include "provisioner/config.hpp"

#include <gtest/gtest.h>

#include "provisioner/definition.hpp"
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
      {"[driver]\nname = \"a\"\n\nversion = \"1\"\n", 4, "\"version\""},
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

constexpr const char* kDefinition =
    "name = \"cam\"\n"
    "description = \"A camera\"\n"
    "[[module]]\n"
    "name = \"cam-core\"\n"
    "[[module]]\n"
    "name = \"cam\"\n"
    "parameters = \"a=1 b=2\"\n"
    "[[device]]\n"
    "node = \"/dev/video0\"\n"
    "sysfs = \"/sys/class/video4linux/video0\"\n";

TEST(Definition, NamesModulesAndDevices) {
  const TempDir root;
  test::write_file(root / "usr/lib/driverext/drivers/cam.toml", kDefinition);
  const Definition definition = must(read_definition(root.dir(), "cam"));
  EXPECT_EQ(definition.description, "A camera");
  ASSERT_EQ(definition.modules.size(), 2U);
  EXPECT_EQ(definition.modules[0].name, "cam_core");  // as /proc/modules spells it
  EXPECT_EQ(definition.modules[0].parameters, "");
  EXPECT_EQ(definition.modules[1].parameters, "a=1 b=2");
  ASSERT_EQ(definition.devices.size(), 1U);
  EXPECT_EQ(definition.devices[0].node, "dev/video0");
  EXPECT_EQ(definition.devices[0].sysfs_number, "sys/class/video4linux/video0/dev");
}

TEST(Definition, AdministratorsFileWins) {
  const TempDir root;
  test::write_file(root / "usr/lib/driverext/drivers/cam.toml", kDefinition);
  test::write_file(root / "etc/driverext/drivers/cam.toml", "name = \"cam\"\n[[module]]\nname = \"other\"\n");
  EXPECT_EQ(must(read_definition(root.dir(), "cam")).modules[0].name, "other");
  // A broken one is an error, not a reason to take the vendor's.
  test::write_file(root / "etc/driverext/drivers/cam.toml", "name = \n");
  EXPECT_EQ(verdict(read_definition(root.dir(), "cam")), "invalid_input/config-invalid");
}

TEST(Definition, MissingFileSaysWhereItWasLookedFor) {
  const TempDir root;
  EXPECT_EQ(verdict(read_definition(root.dir(), "cam")), "invalid_input/config-invalid");
  EXPECT_NE(message(read_definition(root.dir(), "cam")).find("cam.toml"), std::string::npos);
}

TEST(Definition, ErrorsNameFileAndLine) {
  const Refused cases[] = {
      {"name = \"cam\"\n", 1, "[[module]]"},
      {"name = \"other\"\n[[module]]\nname = \"x\"\n", 1, "\"other\""},
      {"[[module]]\nname = \"x\"\n", 1, "\"name\" is missing"},
      {"name = \"cam\"\n[[module]]\nparameters = \"x\"\n", 2, "\"name\" is missing"},
      {"name = \"cam\"\n[[module]]\nname = \"x\"\nparameter = \"y\"\n", 4, "\"parameter\""},
      {"name = \"cam\"\nmodule = \"x\"\n", 2, "list of tables"},
      {"name = \"cam\"\nmodule = [1]\n", 2, "list of tables"},
      {"name = \"cam\"\n[module]\nname = \"x\"\n", 2, "list of tables"},
      {"name = \"cam\"\n[[module]]\nname = \"x\"\n[[device]]\nnode = \"/dev/x\"\n", 4, "\"sysfs\" is missing"},
      {"name = \"cam\"\n[[module]]\nname = \"x\"\n[[device]]\nnode = \"/etc/x\"\nsysfs = \"/sys/x\"\n", 4, "/dev"},
      {"name = \"cam\"\n[[module]]\nname = \"x\"\n[[device]]\nnode = \"/dev/x\"\nsysfs = \"x\"\n", 4, "/sys"},
  };
  for (const Refused& bad : cases) {
    const TempDir root;
    const std::string file = "usr/lib/driverext/drivers/cam.toml";
    test::write_file(root / file, bad.text);
    expect_refused(read_definition(root.dir(), "cam"), root / file, bad);
  }
}

TEST(Definition, ShippedDefinitionsAreRight) {
  const TempDir root;
  test::write_file(root / "usr/lib/driverext/drivers/v4l2loopback.toml",
                   test::source_file("drivers/v4l2loopback.toml"));
  const Definition definition = must(read_definition(root.dir(), "v4l2loopback"));
  EXPECT_FALSE(definition.modules.empty());
  EXPECT_FALSE(definition.devices.empty());
}

}  // namespace
}  // namespace driverext
