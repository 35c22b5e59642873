// Loading from a process of its own, without a kernel that takes modules: what comes back, and what does not.
#include "kernel/module_loader.hpp"

#include <gtest/gtest.h>

#include "provisioner/execute.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

constexpr uint64_t kMinute = 60'000'000;

TEST(ModuleLoader, TellsWhatTheKernelSaid) {
  const test::TempDir folder;
  ModuleLoader loader;
  for (int i = 0; i < 3; ++i) {  // one process serves them all
    const Result<void> loaded = loader.insert(folder / "gone.ko", "a=1", monotonic_usec() + kMinute);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().os_error, ENOENT) << loaded.error().message();
  }
}

TEST(ModuleLoader, OneThatIsNotDoneInTimeIsGivenUp) {
  ModuleLoader loader;
  const Result<void> loaded = loader.insert("/nowhere/x.ko", "", monotonic_usec());
  EXPECT_EQ(test::verdict(loaded), "transient/load-timeout");
  EXPECT_EQ(loaded.error().os_error, ETIMEDOUT);
  // And the next one is served again.
  EXPECT_EQ(loader.insert("/nowhere/x.ko", "", monotonic_usec() + kMinute).error().os_error, ENOENT);
}

TEST(ModuleLoader, ParametersAreBounded) {
  ModuleLoader loader;
  EXPECT_EQ(test::verdict(loader.insert("/nowhere/x.ko", std::string(20'000, 'x'), monotonic_usec() + kMinute)),
            "invalid_input");
}

}  // namespace
}  // namespace driverext
