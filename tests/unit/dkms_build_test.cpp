// Building DKMS source trees. The container is played: what would run in it runs here, on the same scripts.
#include "kbuild/dkms_build.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "kbuild/source_tree.hpp"
#include "support/fixture.hpp"
#include "support/tiny_elf.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::FakePrograms;
using test::message;
using test::must;
using test::TempDir;
using test::verdict;

// Runs what stands behind systemd-nspawn's options, with the shared folder's own path in place of the container's.
Result<std::string> play_container(ProgramRequest request) {
  const auto inner = std::find(request.argv.begin(), request.argv.end(), "env");
  if (inner == request.argv.end()) return run_program(request);
  const std::string bind = *std::prev(inner);
  const std::string place = std::string(":") + kBuildPlace;
  if (!bind.starts_with("--bind=") || !bind.ends_with(place)) return make_error(Errc::internal, "no bind: " + bind);
  const std::string shared = bind.substr(7, bind.size() - 7 - place.size());
  request.argv.erase(request.argv.begin(), inner);
  for (std::string& word : request.argv) {
    for (size_t at = 0; (at = word.find(kBuildPlace, at)) != std::string::npos; at += shared.size()) {
      word.replace(at, std::string_view(kBuildPlace).size(), shared);
    }
  }
  return run_program(request);
}

class DkmsBuildTest : public ::testing::Test {
 protected:
  DkmsBuildTest() {
    must(scratch_.dir().make_dirs("work", 0700));
    must(scratch_.dir().make_dirs(std::string("builder/usr/lib/modules/") + test::kSampleKernel + "/build", 0755));
    test::write_file(headers(".config"), "CONFIG_PCI=y\n");
    add("payload", test::tiny_module({.vermagic = std::string(test::kSampleKernel) + " SMP "}));
    conf("MAKE='cp payload cam.ko'\nSTRIP=no\n");
    request_.source = scratch_ / "source";
    request_.kernel_release = test::kSampleKernel;
    request_.builder = Builder::container(scratch_ / "builder");
    request_.work = scratch_ / "work";
    programs_.answer = play_container;
  }
  [[nodiscard]] std::string headers(const std::string& name) const {
    return scratch_ / (std::string("builder/usr/lib/modules/") + test::kSampleKernel + "/build/" + name);
  }
  void add(const std::string& name, const std::string& content, mode_t mode = 0644) const {
    test::write_file(scratch_ / ("source/" + name), content, mode);
  }
  void conf(const std::string& text) const { add("dkms.conf", "PACKAGE_NAME=cam\nPACKAGE_VERSION=1.2\n" + text); }
  Result<DkmsBuilt> build() { return build_dkms(programs_, request_); }
  [[nodiscard]] std::string in_tree(const std::string& name) const {
    return test::read_whole(scratch_ / ("work/shared/cam/1.2/build/" + name));
  }

  TempDir scratch_;
  FakePrograms programs_;
  DkmsRequest request_;
};

TEST_F(DkmsBuildTest, ModulesComeFromWhereTheConfSaysUnderTheNamesItGivesThem) {
  conf(R"(
MAKE[0]="mkdir -p deep && cp payload a.ko && cp payload deep/b.ko && cp payload other.ko"
STRIP[0]=no
BUILT_MODULE_NAME[0]=a
DEST_MODULE_NAME[0]=first
BUILT_MODULE_NAME[1]=b
BUILT_MODULE_LOCATION[1]=deep/
)");
  const DkmsBuilt built = must(build());
  EXPECT_EQ(built.package_name, "cam");
  EXPECT_EQ(built.package_version, "1.2");
  EXPECT_EQ(built.license, "GPL");
  EXPECT_EQ(built.files, (std::vector<std::string>{"first.ko", "b.ko"}));
  EXPECT_EQ(must(scratch_.dir().list("work/modules")), (std::vector<std::string>{"b.ko", "first.ko"}));
}

TEST_F(DkmsBuildTest, SourceItselfStaysAsItIs) {
  const auto before = test::listing(scratch_ / "source");
  must(build());
  EXPECT_EQ(test::listing(scratch_ / "source"), before);
}

TEST_F(DkmsBuildTest, SuccessThatMadeNoModuleIsAFailureThatNamesIt) {
  conf("MAKE='cp payload a.ko; false; true'\nSTRIP=no\nBUILT_MODULE_NAME[0]=a\nBUILT_MODULE_NAME[1]=b\n");
  const auto built = build();
  EXPECT_EQ(verdict(built), "invalid_input/build-failed");
  EXPECT_NE(message(built).find("did not make b.ko"), std::string::npos) << message(built);
}

TEST_F(DkmsBuildTest, ModuleThatCameWithTheSourceDoesNotCount) {
  add("cam.ko", "built elsewhere");
  conf("MAKE=true\n");
  EXPECT_NE(message(build()).find("did not make cam.ko"), std::string::npos);
}

TEST_F(DkmsBuildTest, CompressedModuleIsTakenAsItIs) {
  conf("MAKE='cp payload cam.ko.xz'\n");
  EXPECT_EQ(must(build()).files, std::vector<std::string>{"cam.ko.xz"});
}

TEST_F(DkmsBuildTest, ModuleForAnotherKernelIsRefused) {
  add("payload", test::tiny_module({.vermagic = "5.10.0-other SMP "}));
  EXPECT_EQ(verdict(build()), "incompatible/build-failed");
}

TEST_F(DkmsBuildTest, LinkOutOfTheTreeLeadsNowhere) {
  test::write_file(scratch_ / "outside/cam.ko", test::tiny_module({}));
  conf("MAKE='ln -s " + scratch_ / "outside" + " place; ln -s " + scratch_ / "outside/cam.ko" +
       " cam.ko'\nBUILT_MODULE_NAME[0]=cam\nBUILT_MODULE_NAME[1]=cam2\nDEST_MODULE_NAME[1]=x\nSTRIP=no\n"
       "BUILT_MODULE_LOCATION[1]=place\n");
  EXPECT_NE(message(build()).find("did not make cam.ko, place/cam2.ko"), std::string::npos) << message(build());
}

TEST_F(DkmsBuildTest, KernelThatItIsNotMeantForIsRefusedBeforeAnythingRuns) {
  conf("BUILD_EXCLUSIVE_KERNEL=^2\\\\.6\n");
  const auto built = build();
  EXPECT_EQ(verdict(built), "incompatible");
  EXPECT_NE(message(built).find("not meant for this kernel"), std::string::npos) << message(built);
  EXPECT_TRUE(programs_.requests.empty());
}

TEST_F(DkmsBuildTest, KernelsConfigurationIsThatOfTheBuilder) {
  conf("BUILD_EXCLUSIVE_CONFIG='CONFIG_PCI !CONFIG_USB'\nMAKE='cp payload cam.ko'\nSTRIP=no\n");
  must(build());
  test::write_file(headers(".config"), "# CONFIG_PCI is not set\n");
  std::filesystem::remove_all(scratch_ / "work/shared");
  EXPECT_EQ(verdict(build()), "incompatible");
}

TEST_F(DkmsBuildTest, BuilderWithoutTheKernelsHeadersSaysWhichItHas) {
  request_.kernel_release = "5.10.0-other";
  const auto built = build();
  EXPECT_EQ(verdict(built), "not_found/builder-missing");
  EXPECT_NE(message(built).find(std::string("it has those of ") + test::kSampleKernel), std::string::npos);
}

TEST_F(DkmsBuildTest, PatchesThatAreMeantForThisKernelAreApplied) {
  add("code", "one\n");
  add("patches/all.patch", "--- a/code\n+++ b/code\n@@ -1 +1 @@\n-one\n+two\n");
  add("patches/other.patch", "no patch");
  conf("PATCH[0]=all.patch\nPATCH[1]=other.patch\nPATCH_MATCH[1]=^2\nMAKE='cp payload cam.ko'\nSTRIP=no\n");
  must(build());
  EXPECT_EQ(in_tree("code"), "two\n");
}

TEST_F(DkmsBuildTest, PatchThatDoesNotApplyEndsTheBuild) {
  add("code", "three\n");
  add("patches/all.patch", "--- a/code\n+++ b/code\n@@ -1 +1 @@\n-one\n+two\n");
  conf("PATCH=all.patch\nMAKE='cp payload cam.ko'\nSTRIP=no\n");
  EXPECT_EQ(verdict(build()), "invalid_input/build-failed");
}

TEST_F(DkmsBuildTest, OwnProgramsRunBeforeAndAfter) {
  add("before", "#!/bin/sh\necho \"$1\" >said-before\n", 0755);
  add("after", "#!/bin/sh\nls cam.ko >said-after\n", 0755);
  conf("PRE_BUILD='before word'\nPOST_BUILD=after\nMAKE='cp payload cam.ko'\nSTRIP=no\n");
  must(build());
  EXPECT_EQ(in_tree("said-before"), "word\n");
  EXPECT_EQ(in_tree("said-after"), "cam.ko\n");
}

TEST_F(DkmsBuildTest, MakeIsToldTheKernelReleaseAsDkmsDoes) {
  add("Makefile", "cam.ko:\n\tcp payload cam.ko\n\techo $(KERNELRELEASE) >said\n");
  conf("MAKE=\"make cam.ko\"\nSTRIP=no\n");
  must(build());
  EXPECT_EQ(in_tree("said"), std::string(test::kSampleKernel) + "\n");
}

TEST_F(DkmsBuildTest, VariablesHaveTheirValuesWhenTheMakeLineRuns) {
  conf(
      "MAKE='cp payload cam.ko; echo $kernelver $module-$module_version >said; ls "
      "$source_tree/$module-$module_version/payload'\nSTRIP=no\n");
  must(build());
  EXPECT_EQ(in_tree("said"), std::string(test::kSampleKernel) + " cam-1.2\n");
}

TEST_F(DkmsBuildTest, WithoutAMakeLineKbuildIsAsked) {
  conf("STRIP=no\n");
  (void)build();  // there is no kernel here
  const std::vector<std::string>& argv = programs_.requests.at(0).argv;
  EXPECT_NE(
      std::find(argv.begin(), argv.end(),
                std::string("make -C /lib/modules/") + test::kSampleKernel + "/build M=/var/lib/dkms/cam/1.2/build"),
      argv.end());
}

TEST_F(DkmsBuildTest, WhatIsBuiltInHasNoNetworkAndNothingOfTheEnvironment) {
  ::setenv("DRIVEREXT_TEST_SECRET", "x", 1);
  conf("MAKE='cp payload cam.ko; env >said'\nSTRIP=no\n");
  must(build());
  const std::vector<std::string>& argv = programs_.requests.at(0).argv;
  for (const char* option : {"--private-network", "--read-only", "--drop-capability=all"}) {
    EXPECT_NE(std::find(argv.begin(), argv.end(), option), argv.end()) << option;
  }
  EXPECT_EQ(in_tree("said").find("DRIVEREXT_TEST_SECRET"), std::string::npos);
}

TEST_F(DkmsBuildTest, DatesAreThoseOfTheSource) {
  conf(
      "MAKE='cp payload cam.ko; echo $SOURCE_DATE_EPOCH $KBUILD_BUILD_TIMESTAMP $KBUILD_BUILD_USER >said'\nSTRIP=no\n");
  request_.source_date_epoch = 1'700'000'000;
  must(build());
  EXPECT_EQ(in_tree("said"), "1700000000 2023-11-14 22:13:20 UTC driverext\n");
  EXPECT_EQ(must(scratch_.dir().status("work/modules/cam.ko"))->st_mtime, 1'700'000'000);
}

TEST_F(DkmsBuildTest, DebuggingInformationIsMadeOnlyIfSomethingIsMadeFromIt) {
  conf("MAKE='cp payload cam.ko; echo c$KCFLAGS a$KAFLAGS >said; false'\n");
  const auto said = [&] {
    std::filesystem::remove_all(scratch_ / "work");
    must(scratch_.dir().make_dirs("work", 0700));
    (void)build();
    return in_tree("said");
  };
  EXPECT_EQ(said(), "c-g0 a-g0\n");
  test::write_file(headers(".config"), "CONFIG_PCI=y\nCONFIG_GENDWARFKSYMS=y\n");  // checksums of symbols
  EXPECT_EQ(said(), "c a\n");
  test::write_file(headers(".config"), "# CONFIG_GENDWARFKSYMS is not set\n");
  EXPECT_EQ(said(), "c-g0 a-g0\n");
  test::write_file(headers("vmlinux"), "");  // type information
  EXPECT_EQ(said(), "c a\n");
}

TEST_F(DkmsBuildTest, NothingOfTheMachineIsSeenWhereItIsBuilt) {
  must(build());
  const std::vector<std::string>& argv = programs_.requests.at(0).argv;
  EXPECT_NE(std::find(argv.begin(), argv.end(), "--hostname=driverext"), argv.end());
}

TEST_F(DkmsBuildTest, FailureIsTheFirstErrorAndTheLogIsThere) {
  add("said", "cam.c:1:1: error: no such type\ncam.c:2:1: error: more\n");
  conf("MAKE='cat said; false'\n");
  const auto built = build();
  EXPECT_EQ(verdict(built), "invalid_input/build-failed");
  EXPECT_EQ(message(built), "cam 1.2: cam.c:1:1: error: no such type");
  EXPECT_NE(test::read_whole(scratch_ / "work/log").find("more"), std::string::npos);
}

TEST_F(DkmsBuildTest, InterruptionIsNoVerdictOnTheDriver) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const UniqueFd cancel(ends[0]);
  const UniqueFd other(ends[1]);
  ASSERT_EQ(::write(other.get(), "x", 1), 1);
  request_.cancel_fd = cancel.get();
  conf("MAKE='cp payload cam.ko; while :; do :; done'\n");
  EXPECT_EQ(verdict(build()), "transient");
}

TEST_F(DkmsBuildTest, ConfThatIsAProgramIsRunInTheBuilder) {
  conf(R"(
if [ "$kernelver" = )" +
       std::string(test::kSampleKernel) + R"( ]; then
  names=(a b)
  for i in 0 1; do BUILT_MODULE_NAME[$i]=${names[$i]}; STRIP[$i]=no; done
fi
MAKE="cp payload a.ko; cp payload b.ko; echo $module $module_version >said"
echo noise
)");
  const DkmsBuilt built = must(build());
  EXPECT_EQ(built.files, (std::vector<std::string>{"a.ko", "b.ko"}));
  EXPECT_EQ(in_tree("said"), "cam 1.2\n");
  EXPECT_EQ(programs_.commands, (std::vector<std::string>{"systemd-nspawn", "systemd-nspawn"}));
}

TEST_F(DkmsBuildTest, ConfThatIsAProgramFindsTheTreeWhereDkmsHasIt) {
  add("names", "a");
  conf(R"(
BUILT_MODULE_NAME[0]=$(cat $dkms_tree/$module/$module_version/source/names)
DEST_MODULE_NAME[0]=$(cat $dkms_tree/$module/$module_version/build/names)1
BUILT_MODULE_LOCATION[0]=$(cat $source_tree/$module-$module_version/names)/
MAKE="mkdir a; cp payload a/a.ko"
STRIP=no
)");
  EXPECT_EQ(must(build()).files, std::vector<std::string>{"a1.ko"});
}

TEST_F(DkmsBuildTest, ConfThatIsAProgramIsNeverRunOnTheHost) {
  conf("MAKE=$(touch " + scratch_ / "ran" + ")\n");
  request_.builder = Builder::host();
  const auto built = build();
  EXPECT_EQ(verdict(built), "unsupported");
  EXPECT_NE(message(built).find("--builder=DIR"), std::string::npos) << message(built);
  EXPECT_TRUE(programs_.requests.empty());
  EXPECT_FALSE(test::exists(scratch_ / "ran"));
}

TEST_F(DkmsBuildTest, ConfThatEndsTheShellIsAnError) {
  conf("if true; then exit 0; fi\n");
  EXPECT_EQ(verdict(build()), "invalid_input");
  std::filesystem::remove_all(scratch_ / "work/shared");
  std::filesystem::remove_all(scratch_ / "work/asked");
  conf("if true; then exit 3; fi\n");
  EXPECT_EQ(verdict(build()), "invalid_input/build-failed");
}

// The answer's place is known to what is asked.
TEST_F(DkmsBuildTest, LinkInPlaceOfTheAnswerIsNotFollowed) {
  test::write_file(scratch_ / "secret", std::string("end\0", 4));
  conf("if true; then ln -s " + scratch_ / "secret" + " ../.values; exit 0; fi\n");
  EXPECT_NE(verdict(build()), "fine");
  EXPECT_EQ(test::read_whole(scratch_ / "secret").size(), 4U);
}

// It owns all that it sees; afterwards the host must not walk through it.
TEST_F(DkmsBuildTest, LinksThatAConfsShellPlantsLeadTheHostNowhere) {
  must(scratch_.dir().make_dirs("outside", 0755));
  conf("if true; then STRIP=no; fi\nrm -rf ../cam ../.source\nln -s " + scratch_ / "outside" + " ../cam\nln -s " +
       scratch_ / "outside" + " ../.source\necho changed >payload\nMAKE='cp payload cam.ko'\n");
  EXPECT_EQ(must(build()).files, std::vector<std::string>{"cam.ko"});
  EXPECT_TRUE(must(scratch_.dir().list("outside")).empty());
  EXPECT_NE(in_tree("payload"), "changed\n");
  EXPECT_FALSE(test::exists(scratch_ / "work/asked"));
}

TEST_F(DkmsBuildTest, BuildThatPutsALinkInPlaceOfItsTreeGivesTheHostsFilesToNobody) {
  test::write_file(scratch_ / "outside/1.2/build/cam.ko",
                   test::tiny_module({.vermagic = std::string(test::kSampleKernel) + " SMP "}));
  conf("MAKE='mv $dkms_tree/cam $dkms_tree/moved && ln -s " + scratch_ / "outside" + " $dkms_tree/cam'\nSTRIP=no\n");
  EXPECT_NE(message(build()).find("did not make cam.ko"), std::string::npos) << message(build());
}

TEST_F(DkmsBuildTest, HostAsBuilderIsAnExplicitChoice) {
  EXPECT_TRUE(must(Builder::from_argument("host")).is_host());
  EXPECT_FALSE(must(Builder::from_argument(scratch_ / "builder")).is_host());
  EXPECT_EQ(verdict(Builder::from_argument("/")), "invalid_input");
  EXPECT_EQ(verdict(Builder::from_argument(scratch_ / "source")), "invalid_input");
  EXPECT_EQ(verdict(Builder::from_argument(scratch_ / "nothing")), "not_found");
}

TEST_F(DkmsBuildTest, DebianPackageIsUnpackedAndNothingOfItIsRun) {
  const std::string root = scratch_ / "package";
  test::write_file(root + "/DEBIAN/control",
                   "Package: cam-dkms\nVersion: 1.2\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n");
  test::write_file(root + "/DEBIAN/postinst", "#!/bin/sh\ntouch " + scratch_ / "ran" + "\n", 0755);
  std::filesystem::create_directories(root + "/usr/src");
  std::filesystem::rename(scratch_ / "source", root + "/usr/src/cam-1.2");
  must(run_program({"dpkg-deb", "--build", "--root-owner-group", root, scratch_ / "cam.deb"}));
  request_.source = scratch_ / "cam.deb";
  const DkmsBuilt built = must(build());
  EXPECT_EQ(built.files, std::vector<std::string>{"cam.ko"});
  EXPECT_FALSE(test::exists(scratch_ / "ran"));
  EXPECT_EQ(built.source_digest, must(identify_source(root + "/usr/src/cam-1.2")).digest);
}

TEST_F(DkmsBuildTest, PackageWhoseSourceIsALinkToTheHostsIsRefused) {
  const std::string root = scratch_ / "package";
  test::write_file(root + "/DEBIAN/control",
                   "Package: cam-dkms\nVersion: 1.2\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n");
  std::filesystem::create_directories(scratch_ / "host/src");
  std::filesystem::rename(scratch_ / "source", scratch_ / "host/src/cam-1.2");
  request_.source = scratch_ / "cam.deb";
  const auto packed = [&] {
    must(run_program({"dpkg-deb", "--build", "--root-owner-group", root, scratch_ / "cam.deb"}));
    std::filesystem::remove_all(scratch_ / "work/package");
    return message(build());
  };
  std::filesystem::create_directory_symlink(scratch_ / "host", root + "/usr");
  EXPECT_NE(packed().find("is a link"), std::string::npos);
  std::filesystem::remove(root + "/usr");
  std::filesystem::create_directory(root + "/usr");
  std::filesystem::create_directory_symlink(scratch_ / "host/src", root + "/usr/src");
  EXPECT_NE(packed().find("is a link"), std::string::npos);
  std::filesystem::remove(root + "/usr/src");
  std::filesystem::create_directory(root + "/usr/src");
  std::filesystem::create_directory_symlink(scratch_ / "host/src/cam-1.2", root + "/usr/src/cam-1.2");
  EXPECT_NE(packed().find("no dkms.conf"), std::string::npos);
}

TEST_F(DkmsBuildTest, PackageIsUnpackedWithinBounds) {
  request_.source = scratch_ / "cam.deb";
  test::write_file(request_.source, "a package");
  programs_.answer = [this](const ProgramRequest& request) {
    EXPECT_GT(request.timeout_sec, 0U);
    EXPECT_EQ(request.cancel_fd, request_.cancel_fd);
    if (request.argv.front() == "sh") return Result<std::string>("1024\n");
    test::write_file(request.argv.at(3) + "/usr/src/cam-1/dkms.conf", "");
    std::filesystem::resize_file(request.argv.at(3) + "/usr/src/cam-1/dkms.conf", uintmax_t{5} << 30);  // of holes
    return Result<std::string>(std::string());
  };
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const UniqueFd cancel(ends[0]);
  const UniqueFd other(ends[1]);
  request_.cancel_fd = cancel.get();
  EXPECT_NE(message(build()).find("too much"), std::string::npos);
  request_.cancel_fd = -1;
  programs_.answer = [](const ProgramRequest& request) {
    if (request.argv.front() == "sh") return Result<std::string>("1024\n");
    test::write_file(request.argv.at(3) + "/usr/src/cam-1/dkms.conf", "", 0644);
    std::filesystem::resize_file(request.argv.at(3) + "/usr/src/cam-1/dkms.conf", 0);
    EXPECT_EQ(::chmod((request.argv.at(3) + "/usr/src/cam-1/dkms.conf").c_str(), 04755), 0);
    return Result<std::string>(std::string());
  };
  EXPECT_NE(message(build()).find("set-user-id"), std::string::npos);
}

// A package of a megabyte may hold a terabyte of zeros.
TEST_F(DkmsBuildTest, PackageThatIsTooLargeIsRefusedBeforeItIsUnpacked) {
  const std::string root = scratch_ / "package";
  test::write_file(root + "/DEBIAN/control",
                   "Package: cam-dkms\nVersion: 1.2\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n");
  test::write_file(root + "/usr/src/cam-1.2/dkms.conf", std::string(100'000, '\n'));
  must(run_program({"dpkg-deb", "--build", "--root-owner-group", root, scratch_ / "cam.deb"}));
  request_.source = scratch_ / "cam.deb";
  std::string counted;
  programs_.answer = [&](ProgramRequest request) {
    EXPECT_EQ(request.argv.back(), std::to_string((uint64_t{4} << 30) + 1));
    request.argv.back() = "50000";
    counted = must(run_program(request));
    return Result<std::string>("4294967297\n");
  };
  EXPECT_NE(message(build()).find("too much"), std::string::npos);
  EXPECT_EQ(programs_.commands, std::vector<std::string>{"sh"});
  EXPECT_EQ(counted, "50000\n");  // no more is read
  EXPECT_FALSE(test::exists(scratch_ / "work/package"));
}

TEST_F(DkmsBuildTest, ReadingASourceCanBeInterrupted) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const UniqueFd cancel(ends[0]);
  const UniqueFd other(ends[1]);
  ASSERT_EQ(::write(other.get(), "x", 1), 1);
  EXPECT_EQ(verdict(identify_source(scratch_ / "source", cancel.get())), "transient");
  EXPECT_EQ(verdict(copy_source(scratch_ / "source", scratch_ / "copy", cancel.get())), "transient");
}

TEST_F(DkmsBuildTest, SourceIsFoundBelowUsrSrcIfItIsTheOnlyOne) {
  std::filesystem::create_directories(scratch_ / "root/usr/src");
  std::filesystem::rename(scratch_ / "source", scratch_ / "root/usr/src/cam-1.2");
  request_.source = scratch_ / "root";
  must(build());
  test::write_file(scratch_ / "root/usr/src/other-1/dkms.conf", "");
  EXPECT_NE(message(build()).find("several sources"), std::string::npos);
  request_.source = scratch_ / "builder";
  EXPECT_NE(message(build()).find("no dkms.conf"), std::string::npos);
}

TEST_F(DkmsBuildTest, SourceDigestIsThatOfSha256sum) {
  add("sub/b c", "text");
  add("sub.a", "");
  add("Z", "z");
  const std::string mine = must(identify_source(scratch_ / "source")).digest;
  const std::string theirs = must(run_program(
      {"sh", "-c", "cd \"$1\"; find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum",
       "sh", scratch_ / "source"}));
  EXPECT_EQ(mine + "  -\n", theirs);
}

TEST_F(DkmsBuildTest, SourceDigestSeesNamesContentAndLinks) {
  const auto digest = [&] { return must(identify_source(scratch_ / "source")).digest; };
  std::vector<std::string> seen = {digest()};
  add("new", "");
  seen.push_back(digest());
  std::filesystem::rename(scratch_ / "source/new", scratch_ / "source/renamed");
  seen.push_back(digest());
  add("renamed", "changed");
  seen.push_back(digest());
  must(scratch_.dir().make_link("/etc/passwd", "source/link"));
  seen.push_back(digest());
  must(scratch_.dir().make_link("/etc/group", "source/link"));
  seen.push_back(digest());
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
}

TEST_F(DkmsBuildTest, SourceHoldsNothingButFilesFoldersAndLinks) {
  ASSERT_EQ(::mkfifo((scratch_ / "source/pipe").c_str(), 0600), 0);
  EXPECT_EQ(verdict(build()), "invalid_input");
}

TEST_F(DkmsBuildTest, CopyKeepsTheOrderOfTimes) {
  add("configure", "#!/bin/sh\n", 0755);
  std::filesystem::last_write_time(scratch_ / "source/configure",
                                   std::filesystem::file_time_type::clock::now() - std::chrono::hours(1000));
  must(copy_source(scratch_ / "source", scratch_ / "copy"));
  const auto original = must(scratch_.dir().status("source/configure"));
  const auto copied = must(scratch_.dir().status("copy/configure"));
  EXPECT_EQ(copied->st_mtim.tv_sec, original->st_mtim.tv_sec);
  EXPECT_EQ(copied->st_mode, original->st_mode);
}

}  // namespace
}  // namespace driverext
