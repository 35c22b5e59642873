#include "sys/process.hpp"

#include <gtest/gtest.h>

#include "support/verdict.hpp"
#include "sys/undo.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::verdict;

TEST(RunProgram, ReturnsWhatWasPrintedOnBothOutputs) {
  EXPECT_EQ(must(run_program({"sh", "-c", "echo out; echo err >&2"})), "out\nerr\n");
}

TEST(RunProgram, ExitStatusIsBelieved) {
  const auto failed = run_program({"sh", "-c", "echo why; exit 7"});
  EXPECT_EQ(verdict(failed), "system");
  EXPECT_NE(message(failed).find("sh exited with status 7: why"), std::string::npos) << message(failed);
}

TEST(RunProgram, SignalIsNamed) {
  EXPECT_NE(message(run_program({"sh", "-c", "kill -9 $$"})).find("ended by signal 9"), std::string::npos);
}

TEST(RunProgram, MissingProgramIsNotFound) {
  const auto failed = run_program({"driverext-no-such-program"});
  EXPECT_EQ(verdict(failed), "not_found");
  EXPECT_NE(message(failed).find("driverext-no-such-program"), std::string::npos);
}

TEST(RunProgram, OnlyTheLastLinesOfALongFailureAreKept) {
  const std::string text = message(run_program({"sh", "-c", "yes | head -c 100000; echo the end; exit 1"}));
  EXPECT_LT(text.size(), 600U);
  EXPECT_NE(text.find("the end"), std::string::npos);
}

TEST(RunProgram, AddedEnvironmentWinsOverOurs) {
  ASSERT_EQ(::setenv("DRIVEREXT_TEST_VARIABLE", "ours", 1), 0);
  EXPECT_EQ(must(run_program({"sh", "-c", "echo $DRIVEREXT_TEST_VARIABLE"}, {"DRIVEREXT_TEST_VARIABLE=added"})),
            "added\n");
  ::unsetenv("DRIVEREXT_TEST_VARIABLE");
}

TEST(RunProgram, StandardInputIsEmpty) { EXPECT_EQ(must(run_program({"cat"})), ""); }

TEST(Undo, RunsUnlessCommitted) {
  int undone = 0;
  {
    const Undo undo([&] { ++undone; });
  }
  EXPECT_EQ(undone, 1);
  {
    Undo undo([&] { ++undone; });
    undo.commit();
  }
  EXPECT_EQ(undone, 1);
  {
    Undo first([&] { ++undone; });
    const Undo second(std::move(first));
  }
  EXPECT_EQ(undone, 2);
}

}  // namespace
}  // namespace driverext
