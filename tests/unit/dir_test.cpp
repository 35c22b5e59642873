#include "sys/dir.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <stop_token>
#include <thread>

#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::listing;
using test::must;
using test::read_whole;
using test::TempDir;
using test::verdict;
using test::write_file;

// A root with a file outside of it that nothing may reach.
class DirTest : public ::testing::Test {
 protected:
  DirTest() : root_(make_root()) { write_file(outside_ / "secret", "outside"); }
  Dir make_root() {
    write_file(outside_ / "root/inside", "inside");
    return must(Dir::open_root(outside_ / "root"));
  }
  void link(const std::string& target, const std::string& name) {
    ASSERT_EQ(::symlink(target.c_str(), (outside_ / ("root/" + name)).c_str()), 0);
  }
  TempDir outside_;
  Dir root_;
};

TEST_F(DirTest, AbsoluteLinksAndNamesStartAtTheRoot) {
  link("/inside", "absolute");
  EXPECT_EQ(must(root_.read_file("absolute", 100)), "inside");
  EXPECT_EQ(must(root_.read_file("/inside", 100)), "inside");
}

TEST_F(DirTest, NothingLeadsOutOfTheRoot) {
  link("../secret", "up");
  link(outside_ / "secret", "full");
  link("..", "parent");
  for (const char* name : {"up", "full", "parent/secret", "../secret", "a/../../secret", "/../secret"}) {
    EXPECT_EQ(verdict(root_.read_file(name, 100)), "not_found") << name;
    EXPECT_FALSE(must(root_.read_if_there(name, 100))) << name;
  }
  EXPECT_FALSE(must(root_.status("parent/secret")));
  EXPECT_FALSE(must(root_.status("../secret")));
  EXPECT_EQ(must(root_.list("..")), must(root_.list(".")));
}

TEST_F(DirTest, ParentOfTheRootIsNotLookedAt) {
  const auto seen = root_.status("..");
  if (!seen) return;
  struct stat parent {};
  ASSERT_EQ(::stat(outside_.path().c_str(), &parent), 0);
  EXPECT_FALSE(*seen && (*seen)->st_ino == parent.st_ino);
}

TEST_F(DirTest, WritesThroughALinkStayInside) {
  link("../..", "up");
  must(root_.write_atomic("up/new", "x", 0644));
  EXPECT_EQ(read_whole(outside_ / "root/new"), "x");
  EXPECT_FALSE(test::exists(outside_ / "new"));
}

TEST_F(DirTest, OpenNoFollowRefusesALinkAtTheEnd) {
  link("inside", "link");
  EXPECT_EQ(root_.open_no_follow("link", O_RDONLY).error().os_error, ELOOP);
  EXPECT_TRUE(root_.open_no_follow("inside", O_RDONLY));
}

TEST_F(DirTest, ReadTakesExactlyTheLimit) {
  EXPECT_EQ(must(root_.read_file("inside", 6)), "inside");
  EXPECT_EQ(verdict(root_.read_file("inside", 5)), "invalid_input");
  write_file(outside_ / "root/big", std::string(100'000, 'x'));
  EXPECT_EQ(must(root_.read_file("big", 100'000)).size(), 100'000U);
  EXPECT_EQ(verdict(root_.read_file("big", 99'999)), "invalid_input");
}

TEST_F(DirTest, ReadIfThereTellsAbsentFromUnreadable) {
  EXPECT_FALSE(must(root_.read_if_there("none/at/all", 10)));
  EXPECT_FALSE(must(root_.read_if_there("inside/below-a-file", 10)));
  EXPECT_EQ(verdict(root_.read_if_there("inside", 1)), "invalid_input");
  ASSERT_EQ(::mkdir((outside_ / "root/folder").c_str(), 0755), 0);
  EXPECT_EQ(root_.read_if_there("folder", 10).error().os_error, EISDIR);
}

TEST_F(DirTest, AtomicWriteSetsModeWhateverTheUmask) {
  const mode_t before = ::umask(0077);
  must(root_.write_atomic("new/folder/file", "text", 0644));
  ::umask(before);
  EXPECT_EQ(must(root_.status("new/folder/file"))->st_mode & 07777U, 0644U);
  EXPECT_EQ(must(root_.status("new/folder"))->st_mode & 07777U, 0755U);
  EXPECT_EQ(must(root_.list("new/folder")), std::vector<std::string>{"file"});
}

TEST_F(DirTest, FailedAtomicWriteLeavesNothingBehind) {
  write_file(outside_ / "root/taken/file", "x");
  const auto before = listing(outside_.path());
  EXPECT_FALSE(root_.write_atomic("taken", "text", 0644));            // a directory is in the way
  EXPECT_FALSE(root_.write_atomic("inside/below", "text", 0644));     // a file is where a directory should be
  EXPECT_FALSE(root_.write_atomic(std::string(255, 'n'), "", 0644));  // no room for the temporary name
  EXPECT_EQ(listing(outside_.path()), before);
}

TEST_F(DirTest, AtomicWriteReplacesALinkNotItsTarget) {
  link("../secret", "link");
  must(root_.write_atomic("link", "new", 0600));
  EXPECT_EQ(read_whole(outside_ / "secret"), "outside");
  EXPECT_EQ(read_whole(outside_ / "root/link"), "new");
}

TEST_F(DirTest, AtomicWriteTakesOverWhatACrashLeft) {
  write_file(outside_ / ("root/.file.new-" + std::to_string(::getpid())), "half");
  must(root_.write_atomic("file", "whole", 0644));
  EXPECT_EQ(must(root_.list(".")), (std::vector<std::string>{"file", "inside"}));
}

TEST_F(DirTest, UnchangedContentIsNotWritten) {
  ASSERT_EQ(must(root_.write_if_changed("file", "text", 0644)), Written::changed);
  const auto before = listing(outside_.path());
  EXPECT_EQ(must(root_.write_if_changed("file", "text", 0644)), Written::unchanged);
  EXPECT_EQ(listing(outside_.path()), before);
  EXPECT_EQ(must(root_.write_if_changed("file", "TEXT", 0644)), Written::changed);
  EXPECT_EQ(must(root_.write_if_changed("file", "TEXT", 0600)), Written::changed);  // the mode counts
  EXPECT_EQ(must(root_.write_if_changed("file", "", 0600)), Written::changed);
  EXPECT_EQ(must(root_.write_if_changed("file", "", 0600)), Written::unchanged);
}

TEST_F(DirTest, ReplaceTakesTheOthersPlaceOrLeavesBothAsTheyWere) {
  must(root_.write_atomic("newer", "newer", 0644));
  must(root_.write_atomic("older", "older", 0644));
  EXPECT_FALSE(root_.replace("absent", "older"));
  EXPECT_EQ(must(root_.read_file("older", 100)), "older");
  must(root_.replace("newer", "older"));
  EXPECT_EQ(must(root_.read_file("older", 100)), "newer");
  EXPECT_FALSE(must(root_.status("newer")));
}

TEST_F(DirTest, ReplaceOfALinkToTheSameFileLeavesOneName) {
  must(root_.write_atomic("one", "text", 0644));
  ASSERT_EQ(::link(root_.path_of("one").c_str(), root_.path_of("two").c_str()), 0);
  must(root_.replace("one", "two"));
  EXPECT_FALSE(must(root_.status("one")));
  EXPECT_EQ(must(root_.read_file("two", 100)), "text");
}

TEST_F(DirTest, RenameNeverReplaces) {
  write_file(outside_ / "root/other", "other");
  EXPECT_EQ(root_.rename("inside", "other").error().os_error, EEXIST);
  EXPECT_EQ(read_whole(outside_ / "root/other"), "other");
  must(root_.rename("inside", "third"));
  EXPECT_EQ(must(root_.list(".")), (std::vector<std::string>{"other", "third"}));
}

TEST_F(DirTest, AbsentThingsAreRemovedAndListedAsNothing) {
  EXPECT_TRUE(root_.remove_file("none"));
  EXPECT_TRUE(root_.remove_dir("none"));
  EXPECT_EQ(must(root_.list("none")), std::vector<std::string>());
  EXPECT_EQ(must(root_.list("inside")), std::vector<std::string>());
}

TEST_F(DirTest, RemoveDirSparesWhatIsInIt) {
  write_file(outside_ / "root/full/file", "x");
  EXPECT_EQ(root_.remove_dir("full").error().os_error, ENOTEMPTY);
}

TEST_F(DirTest, PathOfIsForPeopleAndStartsAtTheRealRoot) {
  EXPECT_EQ(root_.path_of("a/b"), outside_ / "root/a/b");
  EXPECT_EQ(root_.path_of("/a"), outside_ / "root/a");
  EXPECT_EQ(must(Dir::open_root("/")).path_of("a"), "/a");
  EXPECT_EQ(must(root_.open_dir(".")).path_of("a"), outside_ / "root/a");
}

TEST_F(DirTest, ReadExactlyNeedsAllBytes) {
  const UniqueFd fd = must(root_.open_file("inside", O_RDONLY));
  Bytes bytes(4);
  EXPECT_TRUE(read_exactly(fd.get(), bytes, 2, "file"));
  EXPECT_EQ(as_text(bytes), "side");
  EXPECT_EQ(verdict(read_exactly(fd.get(), bytes, 3, "file")), "invalid_input");
}

// Renames of directories anywhere on the machine make openat2 say EAGAIN where a ".." is on the way.
TEST_F(DirTest, RenamesElsewhereMakeNoNameUnreadable) {
  ASSERT_EQ(::mkdir((outside_ / "root/deep").c_str(), 0755), 0);
  ASSERT_EQ(::mkdir((outside_ / "elsewhere1").c_str(), 0755), 0);
  const std::jthread renaming([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::rename((outside_ / "elsewhere1").c_str(), (outside_ / "elsewhere2").c_str());
      std::rename((outside_ / "elsewhere2").c_str(), (outside_ / "elsewhere1").c_str());
    }
  });
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_EQ(must(root_.read_file("deep/../deep/../inside", 100)), "inside") << i;
  }
}

TEST_F(DirTest, MissingRootIsAnError) { EXPECT_EQ(verdict(Dir::open_root(outside_ / "none")), "not_found"); }

TEST(UniqueFd, MovedFromOwnsNothing) {
  UniqueFd a(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = a.get();
  UniqueFd b(std::move(a));
  EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(b.get(), number);
  UniqueFd c;
  c = std::move(b);
  EXPECT_FALSE(b);  // NOLINT(bugprone-use-after-move)
  c.reset();
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

TEST_F(DirTest, LinkIsMadeInOneGoAndItsParentsToo) {
  must(root_.make_link("../inside", "a/b/link"));
  EXPECT_EQ(must(root_.read_link("a/b/link")), "../inside");
  EXPECT_EQ(must(root_.list("a/b")), std::vector<std::string>{"link"});  // no temporary name is left
}

TEST_F(DirTest, LinkTakesThePlaceOfAFileOrLink) {
  must(root_.make_link("one", "link"));
  must(root_.make_link("two", "link"));
  EXPECT_EQ(must(root_.read_link("link")), "two");
  must(root_.make_link("three", "inside"));
  EXPECT_EQ(must(root_.read_link("inside")), "three");
}

TEST_F(DirTest, LinkDoesNotTakeThePlaceOfADirectory) {
  must(root_.make_dirs("folder", 0755));
  EXPECT_NE(verdict(root_.make_link("x", "folder")), "fine");
  EXPECT_EQ(must(root_.list(".")), (std::vector<std::string>{"folder", "inside"}));
}

TEST_F(DirTest, LinkIsReplacedNotFollowed) {
  link(outside_ / "secret", "link");
  must(root_.make_link("inside", "link"));
  EXPECT_EQ(must(root_.read_file("link", 100)), "inside");
  EXPECT_EQ(read_whole(outside_ / "secret"), "outside");
}

TEST_F(DirTest, OnlyLinksSayWhereTheyLead) {
  must(root_.make_dirs("folder", 0755));
  for (const char* name : {"inside", "folder", "nothing", "no/such/folder", "."}) {
    EXPECT_FALSE(must(root_.read_link(name))) << name;
  }
  link("nowhere", "dangling");
  EXPECT_EQ(must(root_.read_link("dangling")), "nowhere");
}

}  // namespace
}  // namespace driverext
