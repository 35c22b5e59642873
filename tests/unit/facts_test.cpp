#include "provisioner/facts.hpp"

#include <gtest/gtest.h>
#include <sys/utsname.h>

#include "support/temp_dir.hpp"
#include "support/verdict.hpp"
#include "sysext/architecture.hpp"

namespace driverext {
namespace {

using test::must;
using test::TempDir;
using test::verdict;
using test::write_file;

class FactsTest : public ::testing::Test {
 protected:
  FactsTest() {
    write_file(root_ / "proc/sys/kernel/osrelease", "6.12.107+deb13-amd64\n");
    write_file(root_ / "proc/sys/kernel/arch", "x86_64\n");
  }
  TempDir root_;
};

TEST_F(FactsTest, AreReadBelowTheRoot) {
  const Facts facts = must(read_facts(root_.dir()));
  EXPECT_EQ(facts.kernel_release, "6.12.107+deb13-amd64");
  EXPECT_EQ(facts.architecture, "x86-64");
}

// Kernels before 6.1 have no such file.
TEST_F(FactsTest, MachineIsAskedOfTheKernelWhereThereIsNoFile) {
  must(root_.dir().remove_file("proc/sys/kernel/arch"));
  utsname names{};
  ASSERT_EQ(::uname(&names), 0);
  const Architecture* expected = architecture_of_machine(names.machine);
  EXPECT_EQ(must(read_facts(root_.dir())).architecture, expected != nullptr ? expected->name : names.machine);
}

TEST_F(FactsTest, ArchitecturesHaveSystemdsNames) {
  write_file(root_ / "proc/sys/kernel/arch", "aarch64\n");
  EXPECT_EQ(must(read_facts(root_.dir())).architecture, "arm64");
  write_file(root_ / "proc/sys/kernel/arch", "riscv64\n");
  EXPECT_EQ(must(read_facts(root_.dir())).architecture, "riscv64");  // no image fits it, and the status says so
}

TEST_F(FactsTest, HostWithoutAKernelReleaseIsAnError) {
  write_file(root_ / "proc/sys/kernel/osrelease", "\n");
  EXPECT_EQ(verdict(read_facts(root_.dir())), "invalid_input");
  write_file(root_ / "proc/sys/kernel/osrelease", "../../etc\n");
  EXPECT_EQ(verdict(read_facts(root_.dir())), "invalid_input");
  const TempDir empty;
  EXPECT_EQ(verdict(read_facts(empty.dir())), "not_found");
}

}  // namespace
}  // namespace driverext
