// Which targets the kernel has, read from what it answers to DM_LIST_VERSIONS.
#include "kernel/device_mapper.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace driverext {
namespace {

// As the kernel's list_version_get_info() writes them: next, three version numbers, the name, to a multiple of eight.
Bytes versions(const std::vector<std::string>& names) {
  Bytes bytes;
  for (size_t i = 0; i < names.size(); ++i) {
    Bytes one(round_up(16 + names[i].size() + 1, 8));
    if (i + 1 < names.size()) store_le<uint32_t>(one, 0, static_cast<uint32_t>(one.size()));
    store_le<uint32_t>(one, 4, 1);
    const ByteSpan name = as_bytes(names[i]);
    std::copy(name.begin(), name.end(), one.begin() + 16);
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  bytes.resize(bytes.size() + 64);  // what is left of the buffer
  return bytes;
}

TEST(DeviceMapperTargets, OneIsThereIfItsWholeNameIsListed) {
  const Bytes three = versions({"linear", "verity", "striped"});
  for (const char* name : {"linear", "verity", "striped"}) EXPECT_TRUE(dm::lists_target(three, name)) << name;
  for (const char* name : {"veri", "verity2", "crypt"}) EXPECT_FALSE(dm::lists_target(three, name)) << name;
  EXPECT_FALSE(dm::lists_target(versions({"linear"}), "verity"));
  EXPECT_FALSE(dm::lists_target(versions({}), "verity"));
}

TEST(DeviceMapperTargets, AnswerThatIsCutOrPointsOutsideEndsTheList) {
  Bytes two = versions({"linear", "verity"});
  for (size_t size = 0; size < 24 + 16 + 6; ++size) {
    EXPECT_FALSE(dm::lists_target(ByteSpan(two).first(size), "verity")) << size;
  }
  for (const uint32_t next : {UINT32_MAX, uint32_t{4096}, static_cast<uint32_t>(two.size())}) {
    store_le<uint32_t>(two, 0, next);
    EXPECT_FALSE(dm::lists_target(two, "verity")) << next;
  }
}

}  // namespace
}  // namespace driverext
