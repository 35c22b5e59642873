#include "driver/definition.hpp"

#include <gtest/gtest.h>

#include <map>

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
  EXPECT_EQ(unit.each, "proc/driver/cam/units/*/information");
  EXPECT_EQ(unit.minor_key, "Device Minor");
  EXPECT_EQ(unit.name_keys, std::vector<std::string>{"UUID"});
  EXPECT_FALSE(unit.minor);
  EXPECT_FALSE(unit.optional);
}

TEST(Definition, NodesUnderConditionsAreRead) {
  const Definition definition = must(
      parsed(kHead +
             "[[device]]\nnode = \"/dev/cams/channel{minor}\"\nregistered_as = [\"cam\"]\nminors = \"0-3,8\"\ncount = "
             "{ file = \"/proc/driver/cam/params\", key = \"Channels\" }\ncontainers = false\n"
             "when = [{ exists = \"/sys/module/cam_more\" }, { file = \"/proc/driver/cam/params\", key = \"Off\", "
             "is_not = \"1\" }]\n"
             "[[device]]\nnode = \"/dev/sw{minor}\"\nregistered_as = [\"sw\"]\neach = "
             "\"/proc/driver/sw/**/unit\"\ncounted = true\nwhen = { file = \"/proc/x\", key = \"On\", is = \"1\" }\n"));
  const DefinedNode& channel = definition.nodes[0];
  ASSERT_EQ(channel.minors.size(), 2U);
  EXPECT_EQ(channel.minors[0].last, 3U);
  EXPECT_EQ(channel.minors[1].first, 8U);
  EXPECT_EQ(channel.count_file, "proc/driver/cam/params");
  EXPECT_EQ(channel.count_key, "Channels");
  EXPECT_FALSE(channel.in_containers);
  ASSERT_EQ(channel.conditions.size(), 2U);
  EXPECT_EQ(channel.conditions[0].file, "sys/module/cam_more");
  EXPECT_EQ(channel.conditions[1].kind, DeviceCondition::Kind::is_not);
  EXPECT_EQ(definition.nodes[1].minor_key, "");
  EXPECT_EQ(definition.nodes[1].each, "proc/driver/sw/**/unit");
  EXPECT_EQ(definition.nodes[1].conditions[0].value, "1");
}

TEST(Definition, NodesOfTheKernelAreRead) {
  const Definition definition = must(
      parsed(kHead + "[[device]]\nclass = \"drm\"\ndevices = \"renderD*\"\ndrivers = [\"cam\"]\nmode = \"0660\"\ngroup "
                     "= \"render\"\nwait = 3\n[[device]]\nnode = \"/dev/cam\"\nmisc = \"cam\"\noptional = true\n"));
  ASSERT_EQ(definition.devices.size(), 2U);
  EXPECT_EQ(definition.devices[0].device_class, "sys/class/drm");
  EXPECT_EQ(definition.devices[0].names, "renderD*");
  EXPECT_EQ(definition.devices[0].drivers, std::vector<std::string>{"cam"});
  EXPECT_EQ(definition.devices[0].mode, 0660U);
  EXPECT_EQ(definition.devices[0].group, "render");
  EXPECT_EQ(definition.devices[0].wait_sec, 3U);
  EXPECT_EQ(definition.devices[1].misc, "cam");
  EXPECT_TRUE(definition.devices[1].optional);
  EXPECT_EQ(definition.devices[1].wait_sec, kNodeWaitSeconds);
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
      {node + "each = \"/proc/*/x/*/f\"\nminor = \"M\"\n", 4, "each"},
      {node + "each = \"/proc/x/**\"\nminor = \"M\"\n", 4, "each"},
      {node + "each = \"/proc/x/*/f\"\nminor = \"M\"\ncounted = true\n", 4, "counted"},
      {node + "minors = \"3-1\"\n", 4, "minors"},
      {node + "minors = \"\"\n", 4, "minors"},
      {node + "minors = \"0,1048576\"\n", 4, "minors"},
      {node + "minors = \"0x1\"\n", 4, "minors"},
      {node + "minors = [0]\n", 7, "not a string"},
      {node + "minors = \"0\"\ncount = { file = \"/etc/x\", key = \"K\" }\n", 8, "/proc/"},
      {node + "minor = 0\n", 4, "{minor}"},
      {node + "minors = \"0\"\nwhen = {}\n", 8, "\"file\" is missing"},
      {node + "minors = \"0\"\nwhen = \"x\"\n", 8, "list of tables"},
      {node + "minors = \"0\"\nwhen = { exists = \"/etc/x\" }\n", 8, "/proc/"},
      {node + "minors = \"0\"\nwhen = { exists = \"/proc/x\", key = \"K\" }\n", 8, "\"key\""},
      {node + "minors = \"0\"\nwhen = { file = \"/proc/x\", key = \"K\" }\n", 8, "is_not"},
      {node + "minors = \"0\"\nwhen = { file = \"/proc/x\", key = \"K\", is = \"1\", is_not = \"2\" }\n", 8, "is_not"},
      {kHead + "[[device]]\nnode = \"/dev/x{minor}/y\"\nregistered_as = [\"x\"]\nminors = \"0\"\n", 4, "{minor}"},
      {kHead + "[[device]]\nclass = \"../x\"\n", 4, "class"},
      {kHead + "[[device]]\nclass = \"x\"\nnode = \"/dev/x\"\n", 6, "\"node\""},
      {kHead + "[[device]]\nclass = \"x\"\nmode = \"888\"\n", 4, "mode"},
      {kHead + "[[device]]\nclass = \"x\"\nvirtual = 1\n", 6, "neither true nor false"},
      {kHead + "[[device]]\nname = \"a\"\nclass = \"x\"\n[[device]]\nname = \"a\"\nclass = \"y\"\n", 7, "already"},
      {kHead + "[[device]]\nclass = \"x\"\nmode = \"4755\"\n", 4, "mode"},
      {kHead + "[[device]]\nclass = \"x\"\nmode = 432\n", 6, "not a string"},
      {kHead + "[[device]]\nclass = \"x\"\nwait = 301\n", 4, "wait"},
      {kHead + "[[device]]\nclass = \"x\"\nwait = \"1\"\n", 4, "wait"},
      {kHead + "[[device]]\nnode = \"/dev/x\"\nmisc = \"x\"\nsysfs = \"/sys/x\"\n", 7, "\"sysfs\""},
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

TEST(Definition, AModuleCanReplaceTheKernelsOwn) {
  const Definition definition =
      must(parsed("name = \"cam\"\n[[module]]\nname = \"cam\"\nreplaces_in_tree = true\n[[module]]\nname = \"b\"\n"));
  EXPECT_TRUE(definition.modules[0].replaces_in_tree);
  EXPECT_FALSE(definition.modules[1].replaces_in_tree);
  const auto refused = parsed("name = \"cam\"\n[[module]]\nname = \"*\"\nreplaces_in_tree = true\n");
  EXPECT_EQ(verdict(refused), "invalid_input/config-invalid");
  EXPECT_NE(message(refused).find("replaces_in_tree is said of one module"), std::string::npos);
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
  EXPECT_EQ(definition.host_modules.conflicts, std::vector<std::string>{"old_cam"});
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

TEST(Definition, ModulesCanBeOptionalOrDependOnTheHost) {
  const Definition definition =
      must(parsed("name = \"cam\"\nrequires = [\"i2c-core\"]\nwants = [\"video\"]\n[[module]]\nname = \"*\"\n"
                  "[[module]]\nname = \"x\"\noptional = true\n[[module]]\nname = \"y\"\nwhen = { hardware = "
                  "[\"pci:*\"], parameter = \"a=1\" }\n[firmware]\nfrom = \"image\"\n"));
  EXPECT_EQ(definition.host_modules.required, std::vector<std::string>{"i2c_core"});
  EXPECT_EQ(definition.host_modules.wanted, std::vector<std::string>{"video"});
  EXPECT_EQ(definition.firmware, FirmwareFrom::image);
  EXPECT_TRUE(definition.modules[0].is_must());
  EXPECT_FALSE(definition.modules[1].is_must());
  ASSERT_TRUE(definition.modules[2].when);
  EXPECT_EQ(definition.modules[2].when->parameter, "a=1");
  const Refused cases[] = {
      {kHead + "optional = 1\n", 4, "neither true nor false"},
      {kHead + "when = {}\n", 4, "says nothing"},
      {kHead + "when = { hardwear = [] }\n", 4, "did you mean \"hardware\"?"},
      {kHead + "parameters = \"a\\nb\"\n", 4, "control characters"},
      {kHead + "[[module]]\nname = \"x\"\n", 4, "already"},
      {kHead + "[[module]]\nname = \"a/b\"\n", 4, "a/b"},
      {kHead + "[[module]]\nname = \"*\"\nparameters = \"a\"\n", 4, "has none"},
      {kHead + "[firmware]\nfrom = \"nowhere\"\n", 5, "host, image and driver-root"},
      {kHead + "[firmware]\nfrom = \"driver-root\"\n", 4, "no [root]"},
      {"name = \"cam\"\nrequires = [\"../x\"]\n[[module]]\nname = \"x\"\n", 2, "../x"},
  };
  for (const Refused& bad : cases) expect_refused(bad);
}

TEST(Definition, AnUnknownKeyIsAnErrorThatSuggestsTheRightOne) {
  expect_refused({kHead + "paramters = \"\"\n", 4, "did you mean \"parameters\"?"});
  expect_refused({"nmae = \"cam\"\n", 1, "did you mean \"name\"?"});
  expect_refused({kHead + "zzz = 1\n", 4, "known here: name, parameters, optional, when"});
}

class DropIns : public ::testing::Test {
 protected:
  void vendor(const std::string& name, const std::string& text) const {
    test::write_file(root_ / ("usr/lib/driverext/drivers/" + name), text);
  }
  void own(const std::string& name, const std::string& text) const {
    test::write_file(root_ / ("etc/driverext/drivers/" + name), text);
  }
  [[nodiscard]] Result<Definition> read() const { return read_definition(root_.dir(), "cam"); }
  const TempDir root_;
};

TEST_F(DropIns, ChangeSingleKeysOfTheEntryWithTheSameName) {
  vendor("cam.toml", kDefinition);
  own("cam.toml.d/50-mine.toml", "description = \"mine\"\n[[module]]\nname = \"cam\"\nparameters = \"c=3\"\n");
  const Definition definition = must(read());
  EXPECT_EQ(definition.description, "mine");
  ASSERT_EQ(definition.modules.size(), 2U);
  EXPECT_EQ(definition.modules[1].parameters, "c=3");
  EXPECT_EQ(definition.devices.size(), 1U);
}

TEST_F(DropIns, AddEntriesAndReplaceLists) {
  vendor("cam.toml", "conflicts = [\"a\", \"b\"]\n" + std::string(kDefinition));
  own("cam.toml.d/50-mine.toml", "conflicts = [\"c\"]\n[[module]]\nname = \"more\"\n[check]\ntimeout = 5\n");
  const Definition definition = must(read());
  EXPECT_EQ(definition.host_modules.conflicts, std::vector<std::string>{"c"});
  EXPECT_EQ(definition.modules.size(), 3U);
  EXPECT_EQ(definition.check.timeout_sec, 5U);
}

TEST_F(DropIns, ApplyInTheOrderOfTheirNamesAndAreHiddenByName) {
  vendor("cam.toml", kDefinition);
  vendor("cam.toml.d/10-a.toml", "description = \"10 of the vendor\"\n");
  vendor("cam.toml.d/20-b.toml", "description = \"20 of the vendor\"\n");
  EXPECT_EQ(must(read()).description, "20 of the vendor");
  own("cam.toml.d/20-b.toml", "");
  EXPECT_EQ(must(read()).description, "10 of the vendor");
  own("cam.toml.d/15-c.toml", "description = \"15\"\n");
  own("cam.toml.d/notes.txt", "description = \"no\"\n");
  EXPECT_EQ(must(read()).description, "15");
}

TEST_F(DropIns, AMistakeIsNamedWithTheDropInsLine) {
  vendor("cam.toml", kDefinition);
  const std::string place = root_ / "etc/driverext/drivers/cam.toml.d/x.toml";
  own("cam.toml.d/x.toml", "\nsurprise = 1\n");
  EXPECT_TRUE(message(read()).starts_with(place + ":2: ")) << message(read());
  own("cam.toml.d/x.toml", "[[module]]\nname = \"cam\"\nparameters = 7\n");
  EXPECT_TRUE(message(read()).starts_with(place + ":3: ")) << message(read());
  own("cam.toml.d/x.toml", "[[module\n");
  EXPECT_TRUE(message(read()).starts_with(place + ":1: ")) << message(read());
}

TEST_F(DropIns, NameModulesInEitherForm) {
  vendor("cam.toml", kDefinition);
  own("cam.toml.d/x.toml", "[[module]]\nname = \"cam_core\"\nparameters = \"c=3\"\n");
  const Definition definition = must(read());
  ASSERT_EQ(definition.modules.size(), 2U);
  EXPECT_EQ(definition.modules[0].parameters, "c=3");
}

// Two rules with one node, two of one class.
constexpr const char* kAlike =
    "name = \"cam\"\n[[module]]\nname = \"x\"\n"
    "[[device]]\nname = \"left\"\nnode = \"/dev/x{minor}\"\nregistered_as = [\"x\"]\neach = \"/proc/x/a/*\"\n"
    "minor = \"M\"\n"
    "[[device]]\nnode = \"/dev/x{minor}\"\nregistered_as = [\"x\"]\neach = \"/proc/x/b/*\"\nminor = \"M\"\n"
    "[[device]]\nclass = \"drm\"\ndevices = \"card*\"\n"
    "[[device]]\nclass = \"drm\"\ndevices = \"renderD*\"\n";

TEST_F(DropIns, ChangeTheRuleThatTheyTellFromOthersLikeIt) {
  vendor("cam.toml", kAlike);
  own("cam.toml.d/a.toml", "[[device]]\nname = \"left\"\noptional = true\n");
  own("cam.toml.d/b.toml",
      "[[device]]\nnode = \"/dev/x{minor}\"\neach = \"/proc/x/b/*\"\ncontainers = false\n"
      "[[device]]\nclass = \"drm\"\ndevices = \"renderD*\"\nmode = \"0666\"\n"
      "[[device]]\nclass = \"drm\"\ndevices = \"control*\"\n");
  const Definition definition = must(read());
  ASSERT_EQ(definition.nodes.size(), 2U);
  EXPECT_TRUE(definition.nodes[0].optional);
  EXPECT_TRUE(definition.nodes[0].in_containers);
  EXPECT_FALSE(definition.nodes[1].optional);
  EXPECT_FALSE(definition.nodes[1].in_containers);
  ASSERT_EQ(definition.devices.size(), 3U);
  EXPECT_FALSE(definition.devices[0].mode);
  EXPECT_EQ(definition.devices[1].mode, 0666U);
  EXPECT_EQ(definition.devices[2].names, "control*");
}

TEST_F(DropIns, ThatCouldMeanSeveralNameThem) {
  vendor("cam.toml", kAlike);
  const std::string place = root_ / "etc/driverext/drivers/cam.toml.d/x.toml";
  for (const char* text :
       {"[[device]]\nnode = \"/dev/x{minor}\"\noptional = true\n", "[[device]]\nclass = \"drm\"\n"}) {
    own("cam.toml.d/x.toml", text);
    EXPECT_EQ(verdict(read()), "invalid_input/config-invalid");
    EXPECT_TRUE(message(read()).starts_with(place + ":1: ")) << message(read());
  }
  own("cam.toml.d/x.toml", "[[device]]\nnode = \"/dev/x{minor}\"\noptional = true\n");
  EXPECT_NE(message(read()).find("\"left\" ("), std::string::npos) << message(read());
  EXPECT_NE(message(read()).find("cam.toml:10"), std::string::npos) << message(read());
}

TEST_F(DropIns, ReachEveryRuleOfNvidiasDefinition) {
  vendor("cam.toml", test::source_file("drivers/nvidia.toml"));
  own("cam.toml.d/x.toml",
      "name = \"cam\"\n[[device]]\nname = \"MIG\"\ncontainers = true\n"
      "[[device]]\nname = \"IMEX channels\"\nminors = \"0-15\"\nwhen = []\n");
  const Definition definition = must(read());
  EXPECT_EQ(definition.nodes.size(), 14U);
  std::map<std::string, int> same_node;
  for (const DefinedNode& node : definition.nodes) {
    EXPECT_TRUE(node.in_containers || node.name != "MIG");
    if (node.name.empty()) {
      EXPECT_EQ(++same_node[node.node], 1) << node.node;
    }
    if (node.name != "IMEX channels") continue;
    EXPECT_EQ(node.minors.front().last, 15U);
    EXPECT_TRUE(node.conditions.empty());
  }
}

TEST_F(DropIns, OfNoDefinitionAreNone) {
  own("cam.toml.d/x.toml", "description = \"x\"\n");
  EXPECT_EQ(verdict(read()), "invalid_input/config-invalid");
}

TEST(Definition, AnotherOnesCanBeUsedForADriver) {
  const TempDir root;
  test::write_file(root / "usr/lib/driverext/drivers/generic.toml", test::source_file("drivers/generic.toml"));
  const Definition definition = must(read_definition(root.dir(), "my-driver", "generic"));
  EXPECT_EQ(definition.name, "my-driver");
  EXPECT_TRUE(definition.modules[0].is_must());
  EXPECT_NE(message(read_definition(root.dir(), "my-driver")).find("generic"), std::string::npos);
}

TEST(Definition, ShippedDefinitionsAreRight) {
  const TempDir root;
  const char* const shipped[] = {"amdgpu", "gasket", "generic", "jool", "nvidia", "v4l2loopback"};
  for (const char* name : shipped) {
    const std::string file = std::string(name) + ".toml";
    test::write_file(root / ("usr/lib/driverext/drivers/" + file), test::source_file("drivers/" + file));
  }
  for (const char* name : shipped) EXPECT_EQ(must(read_definition(root.dir(), name)).name, name);
  const Definition camera = must(read_definition(root.dir(), "v4l2loopback"));
  EXPECT_EQ(camera.modules.size(), 1U);
  ASSERT_EQ(camera.devices.size(), 1U);
  EXPECT_TRUE(camera.devices[0].only_virtual);
  EXPECT_TRUE(camera.modules[0].parameters.find("video_nr") == std::string::npos);
  EXPECT_FALSE(camera.root);
  const Definition gpu = must(read_definition(root.dir(), "nvidia"));
  EXPECT_EQ(gpu.modules[1].name, "nvidia_uvm");
  EXPECT_TRUE(gpu.devices.empty());
  EXPECT_EQ(gpu.nodes.size(), 14U);
  ASSERT_TRUE(gpu.root);
  EXPECT_EQ(gpu.root->path, "run/nvidia/driver");
  EXPECT_EQ(gpu.check.command, (std::vector<std::string>{"nvidia-smi", "-L"}));
  EXPECT_EQ(gpu.check.builtin.size(), 3U);
  EXPECT_EQ(gpu.host_modules.conflicts, (std::vector<std::string>{"nouveau", "nova_core"}));
  EXPECT_EQ(gpu.hardware.size(), 3U);
  ASSERT_TRUE(gpu.toolkit);
  EXPECT_EQ(gpu.toolkit->cdi_file, "run/cdi/nvidia.yaml");
  EXPECT_EQ(gpu.root->contract.size(), 3U);
  ASSERT_EQ(gpu.daemons.size(), 4U);
  EXPECT_EQ(gpu.daemons[3].unit, "driverext-mps@*.service");
}

}  // namespace
}  // namespace driverext
