#include "sys/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>

#include "support/temp_dir.hpp"
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

TEST(RunProgram, StandardInputIsTheDescriptorThatItIsGiven) {
  const test::TempDir scratch;
  test::write_file(scratch / "input", "what it reads");
  const UniqueFd input = must(scratch.dir().open_file("input", O_RDONLY));
  EXPECT_EQ(must(run_program({.argv = {"cat"}, .input_fd = input.get()})), "what it reads");
}

TEST(RunProgram, OutputIsToldAsItComes) {
  const test::TempDir folder;
  std::vector<std::string> pieces;
  ProgramRequest request{.argv = {"sh", "-c", "echo first; until test -e \"$1\"; do sleep 0.02; done; echo second >&2",
                                  "sh", folder / "go"}};
  request.timeout_sec = 20;
  request.on_output = [&](std::string_view piece) {
    pieces.emplace_back(piece);
    test::write_file(folder / "go", "");  // it goes on only once its first words have come
  };
  EXPECT_EQ(must(run_program(request)), "first\nsecond\n");
  EXPECT_EQ(pieces, (std::vector<std::string>{"first\n", "second\n"}));
}

TEST(RunProgram, LongOutputThatIsToldIsNotKept) {
  size_t told = 0;
  ProgramRequest request{.argv = {"sh", "-c", "yes | head -c 1000000; echo the end"}};
  request.on_output = [&](std::string_view piece) { told += piece.size(); };
  const std::string kept = must(run_program(request));
  EXPECT_EQ(told, 1'000'008U);
  EXPECT_LT(kept.size(), 200'000U);
  EXPECT_TRUE(kept.ends_with("the end\n"));
}

// True once nothing of that process is left but perhaps its entry in the table.
bool ends_soon(pid_t pid) {
  const std::string status = "/proc/" + std::to_string(pid) + "/stat";
  for (int i = 0; i < 200; ++i) {
    if (!test::exists(status) || test::read_whole(status).find(") Z ") != std::string::npos) return true;
    ::usleep(10'000);
  }
  return false;
}

TEST(RunProgram, TimeoutEndsTheProgramAndItsChildren) {
  const test::TempDir folder;
  ProgramRequest request{.argv = {"sh", "-c", "sleep 60 & echo $! > \"$1\"; wait", "sh", folder / "child"}};
  request.timeout_sec = 1;
  const auto result = run_program(request);
  EXPECT_EQ(verdict(result), "transient");
  EXPECT_EQ(message(result), "sh did not end within 1 s");
  EXPECT_TRUE(ends_soon(std::stoi(test::read_whole(folder / "child"))));
}

TEST(RunProgram, TimeoutAlsoEndsAProgramThatIgnoresSignals) {
  ProgramRequest request{.argv = {"sh", "-c", "trap '' TERM INT HUP; sleep 60"}};
  request.timeout_sec = 1;
  EXPECT_EQ(verdict(run_program(request)), "transient");
}

TEST(RunProgram, TimeoutAlsoEndsAProgramThatClosedItsOutput) {
  const auto begun = std::chrono::steady_clock::now();
  ProgramRequest request{.argv = {"sh", "-c", "exec >&- 2>&-; sleep 6"}};
  request.timeout_sec = 1;
  EXPECT_EQ(verdict(run_program(request)), "transient");
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
}

TEST(RunProgram, InTimeMeansNothingIsEnded) {
  ProgramRequest request{.argv = {"sh", "-c", "echo fine"}};
  request.timeout_sec = 60;
  EXPECT_EQ(must(run_program(request)), "fine\n");
}

// A root with as much as a program needs: the host's own folders, shown by links that lead nowhere, would not do.
TEST(RunProgram, RootIsWhereTheProgramIsLookedUpAndRuns) {
  if (::geteuid() != 0) GTEST_SKIP() << "chroot needs root";
  const char* busybox = "/bin/busybox";
  if (!test::exists(busybox)) GTEST_SKIP() << "there is no static program (busybox) to run in a bare root";
  const test::TempDir root;
  test::write_file(root / "usr/bin/busybox", test::read_whole(busybox), 0755);
  test::write_file(root / "marker", "inside");
  ProgramRequest request{.argv = {"busybox", "cat", "/marker"}, .added_environment = {"PATH=/usr/bin"}};
  request.root = root.path();
  EXPECT_EQ(must(run_program(request)), "inside");
  request.argv = {"no-such-program"};
  EXPECT_NE(verdict(run_program(request)), "fine");
}

TEST(RunProgram, ProgramOfTheHostIsNotFoundInsideARoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "chroot needs root";
  const test::TempDir root;
  ProgramRequest request{.argv = {"sh", "-c", "echo out of the root"}};
  request.root = root.path();
  const auto result = run_program(request);
  EXPECT_NE(verdict(result), "fine");
  EXPECT_EQ(message(result).find("out of the root\n"), std::string::npos) << message(result);
}

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
