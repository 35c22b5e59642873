#include "driver/definition.hpp"

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::TempDir;
using test::verdict;

constexpr const char* kVendorFile = "usr/lib/driverext/drivers/cam.toml";

Result<Definition> parsed(const std::string& text) {
  const TempDir root;
  test::write_file(root / kVendorFile, text);
  return read_definition(root.dir(), "cam");
}

// A text that must be refused, the line that the error names, and a word of it.
struct Refused {
  std::string text;
  int line;
  const char* word;
};

void expect_refused(const Refused& bad) {
  const TempDir root;
  test::write_file(root / kVendorFile, bad.text);
  const Result<Definition> result = read_definition(root.dir(), "cam");
  EXPECT_EQ(verdict(result), "invalid_input/config-invalid") << bad.text;
  const std::string place = root / kVendorFile + ":" + std::to_string(bad.line) + ": ";
  EXPECT_TRUE(message(result).starts_with(place)) << message(result) << "\nnot at " << place << "\n" << bad.text;
  EXPECT_NE(message(result).find(bad.word), std::string::npos) << message(result) << "\n" << bad.text;
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

// Three lines; what is under test begins at line 4.
const std::string kHead = "name = \"cam\"\n[[module]]\nname = \"x\"\n";

TEST(Definition, NamesModulesAndDevices) {
  const Definition definition = must(parsed(kDefinition));
  EXPECT_EQ(definition.description, "A camera");
  ASSERT_EQ(definition.modules.size(), 2U);
  EXPECT_EQ(definition.modules[0].name, "cam_core");  // as /proc/modules spells it
  EXPECT_EQ(definition.modules[0].parameters, "");
  EXPECT_EQ(definition.modules[1].parameters, "a=1 b=2");
  ASSERT_EQ(definition.devices.size(), 1U);
  EXPECT_EQ(definition.devices[0].node, "dev/video0");
  EXPECT_EQ(definition.devices[0].sysfs_number, "sys/class/video4linux/video0/dev");
  EXPECT_TRUE(definition.nodes.empty());
  EXPECT_FALSE(definition.root);
  EXPECT_FALSE(definition.toolkit);
}

TEST(Definition, AdministratorsFileWins) {
  const TempDir root;
  test::write_file(root / kVendorFile, kDefinition);
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

TEST(Definition, BadModulesAndDevicesNameFileAndLine) {
  const Refused cases[] = {
      {"name = \"cam\"\n", 1, "[[module]]"},
      {"name = \"other\"\n[[module]]\nname = \"x\"\n", 1, "\"other\""},
      {"[[module]]\nname = \"x\"\n", 1, "\"name\" is missing"},
      {"name = 1\n[[module]]\nname = \"x\"\n", 1, "not a string"},
      {"name = \"cam\"\ndescription = 1\n[[module]]\nname = \"x\"\n", 2, "not a string"},
      {"name = \"cam\"\nvendor = \"x\"\n[[module]]\nname = \"x\"\n", 2, "\"vendor\""},
      {"name = \"cam\"\n[[module]]\nparameters = \"x\"\n", 2, "\"name\" is missing"},
      {"name = \"cam\"\n[[module]]\nname = \"x\"\nparameter = \"y\"\n", 4, "\"parameter\""},
      {"name = \"cam\"\n[[module]]\nname = \"x\"\nparameters = 1\n", 4, "not a string"},
      {"name = \"cam\"\nmodule = \"x\"\n", 2, "list of tables"},
      {"name = \"cam\"\nmodule = [1]\n", 2, "list of tables"},
      {"name = \"cam\"\n[module]\nname = \"x\"\n", 2, "list of tables"},
      {kHead + "[device]\nnode = \"/dev/x\"\n", 4, "list of tables"},
      {kHead + "[[device]]\nnode = \"/dev/x\"\n", 4, "\"sysfs\" is missing"},
      {kHead + "[[device]]\nsysfs = \"/sys/x\"\n", 4, "\"node\" is missing"},
      {kHead + "[[device]]\nnode = 1\nsysfs = \"/sys/x\"\n", 5, "not a string"},
      {kHead + "[[device]]\nnode = \"/etc/x\"\nsysfs = \"/sys/x\"\n", 4, "/dev"},
      {kHead + "[[device]]\nnode = \"dev/x\"\nsysfs = \"/sys/x\"\n", 4, "/dev"},
      {kHead + "[[device]]\nnode = \"/dev/x\"\nsysfs = \"x\"\n", 4, "/sys"},
      {kHead + "[[device]]\nnode = \"/dev/x\"\nsysfs = \"/sys/x\"\nminor = 1\n", 7, "\"minor\""},
  };
  for (const Refused& bad : cases) expect_refused(bad);
}

TEST(Definition, NodesOfUserSpaceAreRead) {
  const Definition definition = must(
      parsed(kHead +
             "[[device]]\nnode = \"/dev/camctl\"\nregistered_as = [\"cam\", \"cam-old\"]\nminor = 255\npermissions = "
             "\"/proc/driver/cam/params\"\noptional = true\n"
             "[[device]]\nnode = \"/dev/cam{minor}\"\nregistered_as = [\"cam\"]\neach = "
             "\"/proc/driver/cam/units/*/information\"\nminor = \"Device Minor\"\nnames = [\"UUID\"]\n"));
  ASSERT_EQ(definition.nodes.size(), 2U);
  const DefinedNode& control = definition.nodes[0];
  EXPECT_EQ(control.node, "dev/camctl");
  EXPECT_EQ(control.registered_as, (std::vector<std::string>{"cam", "cam-old"}));
  EXPECT_EQ(control.minor, 255U);
  EXPECT_EQ(control.permissions, "proc/driver/cam/params");
  EXPECT_TRUE(control.optional);
  const DefinedNode& unit = definition.nodes[1];
  EXPECT_EQ(unit.each, "proc/driver/cam/units");
  EXPECT_EQ(unit.file, "information");
  EXPECT_EQ(unit.minor_key, "Device Minor");
  EXPECT_EQ(unit.name_keys, std::vector<std::string>{"UUID"});
  EXPECT_FALSE(unit.minor);
  EXPECT_FALSE(unit.optional);
}

TEST(Definition, BadNodesNameFileAndLine) {
  const std::string node = kHead + "[[device]]\nnode = \"/dev/x{minor}\"\nregistered_as = [\"x\"]\n";
  const Refused cases[] = {
      {kHead + "[[device]]\nnode = \"/dev/x\"\nregistered_as = \"x\"\nminor = 0\n", 6, "list of strings"},
      {kHead + "[[device]]\nnode = \"/dev/x\"\nregistered_as = [1]\nminor = 0\n", 6, "list of strings"},
      {kHead + "[[device]]\nnode = \"/dev/x\"\nregistered_as = []\nminor = 0\n", 4, "registered_as"},
      {kHead + "[[device]]\nnode = \"/dev/../etc/x\"\nregistered_as = [\"x\"]\nminor = 0\n", 4, "/dev/"},
      {kHead + "[[device]]\nnode = \"/dev/..\"\nregistered_as = [\"x\"]\nminor = 0\n", 4, "/dev/"},
      {kHead + "[[device]]\nnode = \"/dev/\"\nregistered_as = [\"x\"]\nminor = 0\n", 4, "/dev/"},
      {node, 4, "\"minor\""},
      {node + "minor = -1\n", 4, "\"minor\""},
      {node + "minor = 1048576\n", 4, "\"minor\""},
      {node + "minor = \"Minor\"\n", 4, "\"minor\""},
      {node + "minor = 0\noptional = 1\n", 8, "neither true nor false"},
      {node + "minor = 0\npermissions = \"/etc/params\"\n", 4, "/proc/"},
      {node + "minor = 0\npermissions = \"/proc/../etc/params\"\n", 4, "/proc/"},
      {node + "minor = 0\nsysfs = \"/sys/x\"\n", 8, "\"sysfs\""},
      {node + "minor = 0\nmode = 438\n", 8, "\"mode\""},
      {node + "each = \"/proc/x\"\nminor = \"M\"\n", 4, "each"},
      {node + "each = \"/proc/x/*/\"\nminor = \"M\"\n", 4, "each"},
      {node + "each = \"/proc/x/*/a/b\"\nminor = \"M\"\n", 4, "each"},
      {node + "each = \"/proc/*/x/*/f\"\nminor = \"M\"\n", 4, "each"},
      {node + "each = \"/sys/x/*/f\"\nminor = \"M\"\n", 4, "/proc/"},
      {node + "each = \"/proc/x/../*/f\"\nminor = \"M\"\n", 4, "/proc/"},
      {node + "each = 1\nminor = \"M\"\n", 7, "not a string"},
      {node + "each = \"/proc/x/*/f\"\n", 4, "\"minor\" is missing"},
      {node + "each = \"/proc/x/*/f\"\nminor = 1\n", 8, "not a string"},
      {node + "each = \"/proc/x/*/f\"\nminor = \"M\"\nnames = \"UUID\"\n", 9, "list of strings"},
      {kHead + "[[device]]\nnode = \"/dev/x\"\nregistered_as = [\"x\"]\neach = \"/proc/x/*/f\"\nminor = \"M\"\n", 4,
       "{minor}"},
  };
  for (const Refused& bad : cases) expect_refused(bad);
}

const std::string kRoot = "[root]\npath = \"/run/cam/driver\"\n";

TEST(Definition, UserPartIsRead) {
  const Definition definition =
      must(parsed(kHead + kRoot +
                  "[check]\ncommand = [\"tool\", \"-L\"]\ntimeout = 5\n[toolkit]\nlibraries = "
                  "[\"*.so.{version}\"]\nprograms = [\"tool\"]\n"
                  "cdi = { kind = \"cam.test/unit\", file = \"/run/cdi/cam.yaml\" }\nconfig = { file = "
                  "\"/etc/cam/config.toml\", table = "
                  "\"cli\", key = \"root\" }\nruntime = { name = \"cam\", path = \"/usr/bin/cam-runtime\" }\n"));
  EXPECT_EQ(definition.root->path, "run/cam/driver");
  EXPECT_TRUE(definition.root->contract.empty());
  EXPECT_EQ(definition.check.command, (std::vector<std::string>{"tool", "-L"}));
  EXPECT_EQ(definition.check.timeout_sec, 5U);
  EXPECT_EQ(definition.check.builtin, std::vector<BuiltinCheck>{BuiltinCheck::modules});
  const DefinedToolkit& toolkit = *definition.toolkit;
  EXPECT_EQ(toolkit.libraries, std::vector<std::string>{"*.so.{version}"});
  EXPECT_EQ(toolkit.programs, std::vector<std::string>{"tool"});
  EXPECT_EQ(toolkit.cdi_kind, "cam.test/unit");
  EXPECT_EQ(toolkit.cdi_file, "run/cdi/cam.yaml");
  EXPECT_EQ(toolkit.config_file, "etc/cam/config.toml");
  EXPECT_EQ(toolkit.config_table, "cli");
  EXPECT_EQ(toolkit.config_key, "root");
  EXPECT_EQ(toolkit.runtime_name, "cam");
  EXPECT_EQ(toolkit.runtime_path, "/usr/bin/cam-runtime");
}

TEST(Definition, BadUserPartNamesFileAndLine) {
  const std::string toolkit = kHead + kRoot + "[toolkit]\n";  // its first key is on line 7
  const Refused cases[] = {
      {kHead + "[root]\n", 4, "\"path\" is missing"},
      {kHead + "[root]\npath = 1\n", 5, "not a string"},
      {kHead + "[root]\npath = \"/etc/driver\"\n", 4, "/run/"},
      {kHead + "[root]\npath = \"run/driver\"\n", 4, "/run/"},
      {kHead + "[root]\npath = \"/run/../etc\"\n", 4, "/run/"},
      {kHead + "[root]\npath = \"/run/\"\n", 4, "/run/"},
      {kHead + kRoot + "check = [\"tool\"]\n", 6, "\"check\""},
      {kHead + kRoot + "mount = true\n", 6, "\"mount\""},
      {kHead + kRoot + "contract = true\n", 6, "list of tables"},
      {kHead + kRoot + "[[root.contract]]\nfile = \"/etc/x\"\ntext = \"\"\n", 6, "/run/"},
      {kHead + kRoot + "[[root.contract]]\nfile = \"/run/x\"\n", 6, "\"text\" is missing"},
      {kHead + kRoot + "[[root.contract]]\nfile = \"/run/x\"\ntext = \"\"\nmode = 1\n", 9, "\"mode\""},
      {kHead + "[toolkit]\nprograms = [\"x\"]\n", 4, "[root]"},
      {toolkit + "programs = \"x\"\n", 7, "list of strings"},
      {toolkit + "libraries = [1]\n", 7, "list of strings"},
      {toolkit + "hooks = [\"x\"]\n", 7, "\"hooks\""},
      {toolkit + "cdi = \"x\"\n", 7, "not a table"},
      {toolkit + "config = [\"x\"]\n", 7, "not a table"},
      {toolkit + "runtime = 1\n", 7, "not a table"},
      {toolkit + "cdi = { kind = \"a.b/c\" }\n", 7, "\"file\" is missing"},
      {toolkit + "cdi = { file = \"/run/cdi/x\" }\n", 7, "\"kind\" is missing"},
      {toolkit + "cdi = { kind = \"a.b/c\", file = \"/etc/cdi/x\" }\n", 7, "/run/"},
      {toolkit + "cdi = { kind = \"a.b/c\", file = \"/run/cdi/../../etc/x\" }\n", 7, "/run/"},
      {toolkit + "cdi = { kind = \"a.b/c\", file = \"/run/cdi/x\", version = 1 }\n", 7, "\"version\""},
      {toolkit + "config = { file = \"/run/x\", table = \"a\", key = \"b\" }\n", 7, "/etc/"},
      {toolkit + "config = { file = \"/etc/x\", key = \"b\" }\n", 7, "\"table\" is missing"},
      {toolkit + "config = { file = \"/etc/x\", table = \"a\" }\n", 7, "\"key\" is missing"},
      {toolkit + "runtime = { name = \"x\" }\n", 7, "\"path\" is missing"},
      {toolkit + "runtime = { name = \"x\", path = \"runtime\" }\n", 7, "\"path\""},
      {toolkit + "runtime = { path = \"/usr/bin/x\" }\n", 7, "\"name\" is missing"},
  };
  for (const Refused& bad : cases) expect_refused(bad);
  for (const char* key : {"root", "toolkit"}) {
    expect_refused({"name = \"cam\"\n" + std::string(key) + " = \"x\"\n[[module]]\nname = \"x\"\n", 2, "not a table"});
  }
}

TEST(Definition, CheckIsRead) {
  const Definition all = must(parsed(kHead + "[check]\nbuiltin = [\"versions\", \"nodes\"]\n"));
  EXPECT_EQ(all.check.builtin, (std::vector<BuiltinCheck>{BuiltinCheck::versions, BuiltinCheck::nodes}));
  EXPECT_TRUE(must(parsed(kHead + "[check]\nbuiltin = []\n")).check.builtin.empty());
  const Refused cases[] = {
      {kHead + "[check]\nbuiltin = [\"x\"]\n", 4, "modules, nodes and versions"},
      {kHead + "[check]\nbuiltin = \"nodes\"\n", 5, "list of strings"},
      {kHead + "[check]\ncommand = [\"tool\"]\n", 4, "[root]"},
      {kHead + kRoot + "[check]\ncommand = \"tool\"\n", 7, "list of strings"},
      {kHead + "[check]\ntimeout = 0\n", 5, "1 to 600"},
      {kHead + "[check]\ntimeout = 601\n", 5, "1 to 600"},
      {kHead + "[check]\ntimeout = \"5\"\n", 5, "1 to 600"},
      {kHead + "[check]\ntime = 5\n", 5, "\"time\""},
  };
  for (const Refused& bad : cases) expect_refused(bad);
}

TEST(Definition, DaemonsAreReadInTheirOrder) {
  const Definition definition =
      must(parsed(kHead + "[[daemon]]\nname = \"watcher\"\nunit = \"cam-watcher.service\"\n[[daemon]]\nname = "
                          "\"streams\"\nunit = \"cam-stream@*.service\"\nstop_timeout = 30\n"));
  ASSERT_EQ(definition.daemons.size(), 2U);
  EXPECT_EQ(definition.daemons[0].name, "watcher");
  EXPECT_EQ(definition.daemons[0].unit, "cam-watcher.service");
  EXPECT_EQ(definition.daemons[0].stop_sec, 10U);
  EXPECT_EQ(definition.daemons[1].unit, "cam-stream@*.service");
  EXPECT_EQ(definition.daemons[1].stop_sec, 30U);
  const std::string head = kHead + "[[daemon]]\n";
  const Refused cases[] = {
      {head + "unit = \"x.service\"\n", 4, "\"name\" is missing"},
      {head + "name = \"x\"\n", 4, "\"unit\" is missing"},
      {head + "name = \"x\"\nunit = \"x\"\n", 4, "name of a service"},
      {head + "name = \"x\"\nunit = \"x.socket\"\n", 4, "name of a service"},
      {head + "name = \"x\"\nunit = \".service\"\n", 4, "name of a service"},
      {head + "name = \"x\"\nunit = \"*.service\"\n", 4, "name of a service"},
      {head + "name = \"x\"\nunit = \"--now.service\"\n", 4, "name of a service"},
      {head + "name = \"x\"\nunit = \"a b.service\"\n", 4, "name of a service"},
      {head + "name = \"x\"\nunit = \"x.service\"\nstop_timeout = 0\n", 7, "1 to 600"},
      {head + "name = \"x\"\nunit = \"x.service\"\npid = 1\n", 7, "\"pid\""},
      {"daemon = \"x\"\n" + kHead, 1, "list of tables"},
  };
  for (const Refused& bad : cases) expect_refused(bad);
}

TEST(Definition, HardwareIsRead) {
  const Definition definition = must(parsed("conflicts = [\"old-cam\"]\n" + kHead +
                                            "[[hardware]]\nname = \"old ones\"\nmodaliases = [\"pci:v1*\"]\nflavors = "
                                            "[\"a\", \"b\"]\noldest = \"1.0\"\nnewest = \"2\"\n"));
  EXPECT_EQ(definition.conflicts, std::vector<std::string>{"old_cam"});
  ASSERT_EQ(definition.hardware.size(), 1U);
  EXPECT_EQ(definition.hardware[0].flavors.size(), 2U);
  EXPECT_EQ(definition.hardware[0].oldest, "1.0");
  EXPECT_EQ(definition.hardware[0].newest, "2");
  const std::string head = kHead + "[[hardware]]\n";
  const Refused cases[] = {
      {head + "name = \"x\"\n", 4, "names no device"},
      {head + "modaliases = [\"x\"]\n", 4, "\"name\" is missing"},
      {head + "name = \"x\"\nmodaliases = \"x\"\n", 6, "list of strings"},
      {head + "name = \"x\"\nmodaliases = [\"x\"]\nnewest = 5\n", 7, "not a string"},
      {head + "name = \"x\"\nmodaliases = [\"x\"]\nflavor = \"a\"\n", 7, "\"flavor\""},
  };
  for (const Refused& bad : cases) expect_refused(bad);
}

TEST(Definition, ShippedDefinitionsAreRight) {
  const TempDir root;
  for (const char* name : {"v4l2loopback", "nvidia"}) {
    const std::string file = std::string(name) + ".toml";
    test::write_file(root / ("usr/lib/driverext/drivers/" + file), test::source_file("drivers/" + file));
  }
  const Definition camera = must(read_definition(root.dir(), "v4l2loopback"));
  EXPECT_EQ(camera.modules.size(), 1U);
  EXPECT_EQ(camera.devices.size(), 1U);
  EXPECT_FALSE(camera.root);
  const Definition gpu = must(read_definition(root.dir(), "nvidia"));
  EXPECT_EQ(gpu.modules[1].name, "nvidia_uvm");
  EXPECT_TRUE(gpu.devices.empty());
  EXPECT_EQ(gpu.nodes.size(), 5U);
  ASSERT_TRUE(gpu.root);
  EXPECT_EQ(gpu.root->path, "run/nvidia/driver");
  EXPECT_EQ(gpu.check.command, (std::vector<std::string>{"nvidia-smi", "-L"}));
  EXPECT_EQ(gpu.check.builtin.size(), 3U);
  EXPECT_EQ(gpu.conflicts, (std::vector<std::string>{"nouveau", "nova_core"}));
  EXPECT_EQ(gpu.hardware.size(), 3U);
  ASSERT_TRUE(gpu.toolkit);
  EXPECT_EQ(gpu.toolkit->cdi_file, "run/cdi/nvidia.yaml");
  EXPECT_EQ(gpu.root->contract.size(), 3U);
  ASSERT_EQ(gpu.daemons.size(), 4U);
  EXPECT_EQ(gpu.daemons[3].unit, "driverext-mps@*.service");
}

}  // namespace
}  // namespace driverext
