#include "toolkit/cdi_spec.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "base/json.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::verdict;

CdiNode node(const std::string& path) { return {.path = path, .host_path = {}, .mode = 0666}; }

CdiSpec sample_spec() {
  CdiSpec spec;
  spec.kind = "example.com/gpu";
  spec.devices = {{.names = {"gpu0"}, .nodes = {node("/dev/gpu0")}}, {.names = {"gpu1"}, .nodes = {node("/dev/gpu1")}}};
  spec.common_nodes = {node("/dev/gpuctl")};
  spec.mounts = {{"/run/driver/lib/libgpu.so.1", "/usr/lib/libgpu.so.1"}};
  spec.environment = {"GPU_VISIBLE_DEVICES=void"};
  return spec;
}

std::string edited(const std::function<void(CdiSpec&)>& edit) {
  CdiSpec spec = sample_spec();
  edit(spec);
  return verdict(format_cdi_spec(spec));
}

Json written(const CdiSpec& spec) { return must(parse_json(must(format_cdi_spec(spec)))); }

std::vector<std::string> device_names(const Json& spec) {
  std::vector<std::string> names;
  for (const Json& device : spec["devices"]) names.push_back(device["name"]);
  return names;
}

TEST(CdiSpec, IsWrittenLikeThis) {
  CdiSpec spec = sample_spec();
  spec.devices.pop_back();
  EXPECT_EQ(must(format_cdi_spec(spec)), R"({
  "cdiVersion": "0.3.0",
  "kind": "example.com/gpu",
  "devices": [
    {
      "name": "gpu0",
      "containerEdits": {
        "deviceNodes": [
          {
            "path": "/dev/gpu0",
            "type": "c",
            "fileMode": 438,
            "permissions": "rwm"
          }
        ]
      }
    },
    {
      "name": "all",
      "containerEdits": {
        "deviceNodes": [
          {
            "path": "/dev/gpu0",
            "type": "c",
            "fileMode": 438,
            "permissions": "rwm"
          }
        ]
      }
    }
  ],
  "containerEdits": {
    "env": [
      "GPU_VISIBLE_DEVICES=void"
    ],
    "deviceNodes": [
      {
        "path": "/dev/gpuctl",
        "type": "c",
        "fileMode": 438,
        "permissions": "rwm"
      }
    ],
    "mounts": [
      {
        "hostPath": "/run/driver/lib/libgpu.so.1",
        "containerPath": "/usr/lib/libgpu.so.1",
        "options": [
          "ro",
          "nosuid",
          "nodev",
          "rbind",
          "rprivate"
        ]
      }
    ]
  }
}
)");
}

TEST(CdiSpec, VersionIsTheLowestThatHasWhatIsUsed) {
  const auto version = [](const std::function<void(CdiSpec&)>& edit) {
    CdiSpec spec = sample_spec();
    edit(spec);
    return written(spec)["cdiVersion"].get<std::string>();
  };
  EXPECT_EQ(version([](CdiSpec&) {}), "0.3.0");
  EXPECT_EQ(version([](CdiSpec& spec) { spec.devices[1].names = {"uuid", "1"}; }), "0.5.0");
  EXPECT_EQ(version([](CdiSpec& spec) { spec.devices[0].nodes[0].host_path = "/run/driver/dev/gpu0"; }), "0.5.0");
  EXPECT_EQ(version([](CdiSpec& spec) { spec.common_nodes[0].host_path = "/run/driver/dev/gpuctl"; }), "0.5.0");
  EXPECT_EQ(version([](CdiSpec& spec) { spec.kind = "example.com/gpu.mig"; }), "0.6.0");
}

TEST(CdiSpec, HostPathThatIsThePathIsNotWritten) {
  CdiSpec spec = sample_spec();
  spec.common_nodes[0].host_path = "/dev/gpuctl";
  EXPECT_EQ(must(format_cdi_spec(spec)), must(format_cdi_spec(sample_spec())));
}

// A driver that is loaded again can have another major: a written one would open some other device.
TEST(CdiSpec, DeviceNumbersAreLeftToTheEngine) {
  const Json written_node = written(sample_spec())["devices"][0]["containerEdits"]["deviceNodes"][0];
  EXPECT_EQ(written_node["type"], "c");
  EXPECT_FALSE(written_node.contains("major"));
  EXPECT_FALSE(written_node.contains("minor"));
}

TEST(CdiSpec, OwnersAreWrittenUnlessTheyAreRoot) {
  CdiSpec spec = sample_spec();
  spec.common_nodes[0].gid = 44;
  spec.common_nodes[0].mode = S_IFCHR | 0660;
  const Json written_node = written(spec)["containerEdits"]["deviceNodes"][0];
  EXPECT_EQ(written_node["gid"], 44);
  EXPECT_EQ(written_node["fileMode"], 0660);
  EXPECT_FALSE(written_node.contains("uid"));
}

TEST(CdiSpec, EveryNameIsADeviceAndAllHoldsTheNodesOfEach) {
  CdiSpec spec = sample_spec();
  spec.devices[0].names = {"0", "GPU-5f1c:0.1"};
  spec.devices[1].nodes.push_back(node("/dev/shared"));
  spec.devices[0].nodes.push_back(node("/dev/shared"));
  const Json object = written(spec);
  EXPECT_EQ(device_names(object), (std::vector<std::string>{"0", "GPU-5f1c:0.1", "gpu1", "all"}));
  EXPECT_EQ(object["devices"][0]["containerEdits"], object["devices"][1]["containerEdits"]);
  std::vector<std::string> paths;
  for (const Json& one : object["devices"][3]["containerEdits"]["deviceNodes"]) paths.push_back(one["path"]);
  EXPECT_EQ(paths, (std::vector<std::string>{"/dev/gpu0", "/dev/gpu1", "/dev/shared"}));
}

TEST(CdiSpec, OrderOfNodesAndMountsDoesNotMatter) {
  CdiSpec spec = sample_spec();
  spec.common_nodes = {node("/dev/b"), node("/dev/a"), node("/dev/b")};
  spec.mounts = {{"/x/2", "/2"}, {"/x/1", "/1"}, {"/x/2", "/2"}};
  CdiSpec other = sample_spec();
  other.common_nodes = {node("/dev/a"), node("/dev/b")};
  other.mounts = {{"/x/1", "/1"}, {"/x/2", "/2"}};
  EXPECT_EQ(must(format_cdi_spec(spec)), must(format_cdi_spec(other)));
}

TEST(CdiSpec, TwoThingsAtOnePlaceAreRefused) {
  EXPECT_EQ(edited([](CdiSpec& spec) {
              spec.common_nodes.push_back(spec.common_nodes[0]);
              spec.common_nodes[1].mode = 0600;
            }),
            "invalid_input");
  // Fine each for itself, but not in "all".
  EXPECT_EQ(edited([](CdiSpec& spec) {
              spec.devices[0].nodes.push_back(node("/dev/shared"));
              spec.devices[1].nodes.push_back(node("/dev/shared"));
              spec.devices[1].nodes[1].host_path = "/dev/other";
            }),
            "invalid_input");
  EXPECT_EQ(edited([](CdiSpec& spec) { spec.mounts.push_back({"/other", "/usr/lib/libgpu.so.1"}); }), "invalid_input");
}

TEST(CdiSpec, EmptyEditsAreRefusedAsTheLoaderDoes) {
  EXPECT_EQ(edited([](CdiSpec& spec) { spec.devices.clear(); }), "invalid_input");
  EXPECT_EQ(edited([](CdiSpec& spec) { spec.devices[0].nodes.clear(); }), "invalid_input");
  EXPECT_EQ(edited([](CdiSpec& spec) { spec.devices[0].names.clear(); }), "invalid_input");
  CdiSpec bare = sample_spec();
  bare.common_nodes.clear();
  bare.mounts.clear();
  bare.environment.clear();
  EXPECT_FALSE(written(bare).contains("containerEdits"));
}

TEST(CdiSpec, KindFollowsTheLoadersRules) {
  for (const char* kind : {"a/b", "vendor1.com/class1", "other-vendor1.com/class_1", "yet_another-2.com/c-lass_2"}) {
    EXPECT_EQ(edited([&](CdiSpec& spec) { spec.kind = kind; }), "fine") << kind;
  }
  for (const char* kind : {"", "/", "a", "a/", "/b", "_a.com/b", "a.com-/b", "a/_b", "a/b_", "1a/b", "a/1b", "*.com/*b",
                           "a/b/c", "a/b=c", "a b/c", "a/b\n", "\xc3\xa4/b"}) {
    EXPECT_EQ(edited([&](CdiSpec& spec) { spec.kind = kind; }), "invalid_input") << kind;
  }
}

TEST(CdiSpec, DeviceNamesFollowTheLoadersRules) {
  for (const char* name : {"0", "c", "dev_1:2.3", "GPU-1", "0:0"}) {
    EXPECT_EQ(edited([&](CdiSpec& spec) { spec.devices[0].names = {name}; }), "fine") << name;
  }
  for (const char* name : {"", "-dev", "dev:", ".", "a dev ice", "*", "a/b", "a=b", "a\n"}) {
    EXPECT_EQ(edited([&](CdiSpec& spec) { spec.devices[0].names = {name}; }), "invalid_input") << name;
  }
}

TEST(CdiSpec, NamesAreUniqueAndAllIsTaken) {
  EXPECT_EQ(edited([](CdiSpec& spec) { spec.devices[1].names = {"gpu0"}; }), "invalid_input");
  EXPECT_EQ(edited([](CdiSpec& spec) { spec.devices[0].names = {"0", "0"}; }), "invalid_input");
  EXPECT_EQ(edited([](CdiSpec& spec) { spec.devices[0].names = {"all"}; }), "invalid_input");
}

TEST(CdiSpec, PathsAreAbsoluteAndPlain) {
  for (const std::string& path :
       std::vector<std::string>{"", "/", "dev/x", "/dev/../x", "/dev/..", "/dev/./x", "//x", "/dev/x/", "/dev/\n",
                                "/dev/\x7f", "/dev/\xff", "/dev/\u00e9", "/" + std::string(4096, 'x')}) {
    EXPECT_EQ(edited([&](CdiSpec& spec) { spec.devices[0].nodes[0].path = path; }), "invalid_input") << path;
    EXPECT_EQ(edited([&](CdiSpec& spec) { spec.common_nodes[0].host_path = path; }), "invalid_input") << path;
    EXPECT_EQ(edited([&](CdiSpec& spec) { spec.mounts[0].host_path = path; }), "invalid_input") << path;
    EXPECT_EQ(edited([&](CdiSpec& spec) { spec.mounts[0].container_path = path; }), "invalid_input") << path;
  }
  EXPECT_EQ(edited([](CdiSpec& spec) { spec.mounts[0].host_path = "/opt/a b/..c/$x\"\\"; }), "fine");
}

TEST(CdiSpec, EnvironmentIsOfAssignmentsEachOnce) {
  for (const char* variable : {"", "=x", "NAME", "A=\n", "A=\xff"}) {
    EXPECT_EQ(edited([&](CdiSpec& spec) { spec.environment = {variable}; }), "invalid_input") << variable;
  }
  EXPECT_EQ(edited([](CdiSpec& spec) { spec.environment = {"A=", "B=x=y"}; }), "fine");
  EXPECT_NE(edited([](CdiSpec& spec) { spec.environment = {"A=1", "A=2"}; }), "fine");
}

}  // namespace
}  // namespace driverext
