#include "sysext/image_builder.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <csignal>
#include <filesystem>

#include "base/json.hpp"
#include "support/sample_image.hpp"
#include "support/verdict.hpp"
#include "sys/cancellation.hpp"
#include "sys/process.hpp"
#include "sysext/image_signer.hpp"

namespace driverext {
namespace {

using test::build_bytes;
using test::message;
using test::must;
using test::sample_bytes;
using test::sample_request;
using test::TempDir;
using test::verdict;

ImageFile open_image(const TempDir& folder, const std::string& name) {
  return must(ImageFile::open(must(folder.dir().open_file(name, O_RDONLY)), name));
}

TEST(ImageBuilder, SameInputGivesTheSameBytesInAnotherDirectory) {
  EXPECT_TRUE(build_bytes({}, nullptr) == build_bytes({}, nullptr));
}

TEST(ImageBuilder, UmaskAndTimeZoneMakeNoDifference) {
  const std::string usual = build_bytes({}, nullptr);
  const char* zone = ::getenv("TZ");
  const std::string zone_before = zone != nullptr ? zone : "";
  ::setenv("TZ", "Pacific/Kiritimati", 1);
  const mode_t umask_before = ::umask(0077);
  const std::string strict = build_bytes({}, nullptr);
  ::umask(umask_before);
  zone != nullptr ? ::setenv("TZ", zone_before.c_str(), 1) : ::unsetenv("TZ");
  EXPECT_TRUE(usual == strict);
}

TEST(ImageBuilder, SourceFilesModeAndTimeMakeNoDifference) {
  const TempDir scratch;
  const auto build = [&](mode_t mode, const char* name) {
    BuildRequest request = sample_request(scratch / name);
    for (ImageContent& content : request.files) {
      content.source = scratch / (std::string(name) + ".src/" + std::to_string(content.text.size()));
      test::write_file(content.source, content.text, mode);
      const timespec times[2] = {{static_cast<time_t>(mode), 0}, {static_cast<time_t>(mode), 0}};
      ::utimensat(AT_FDCWD, content.source.c_str(), times, 0);
    }
    must(build_image(request));
    return test::read_whole(request.output);
  };
  EXPECT_TRUE(build(0600, "a") == build(04755, "b"));
}

TEST(ImageBuilder, OtherContentGivesAnotherRootHash) {
  const std::string a = build_bytes({}, nullptr);
  const std::string b = build_bytes({.created = 1'700'000'001}, nullptr);
  EXPECT_NE(test::signature_of(a)["rootHash"], test::signature_of(b)["rootHash"]);
}

TEST(ImageBuilder, NothingButTheImageIsLeftBehind) {
  const TempDir scratch;
  must(build_image(sample_request(scratch / "image.raw")));
  EXPECT_EQ(must(scratch.dir().list(".")), std::vector<std::string>{"image.raw"});
}

TEST(ImageBuilder, FailedBuildLeavesTheOldImage) {
  const TempDir scratch;
  test::write_file(scratch / "image.raw", "old");
  BuildRequest missing = sample_request(scratch / "image.raw");
  missing.files.push_back({scratch / "no-such-file", "usr/lib/x", ""});
  EXPECT_EQ(verdict(build_image(missing)), "not_found");
  BuildRequest outside = sample_request(scratch / "image.raw");
  outside.files.push_back({"", "../outside", "x"});
  EXPECT_EQ(verdict(build_image(outside)), "invalid_input");
  BuildRequest unpackable = sample_request(scratch / "image.raw");
  unpackable.zstd_level = 99;
  EXPECT_EQ(verdict(build_image(unpackable)), "system");
  BuildRequest unknown = sample_request(scratch / "image.raw", {.architecture = "m68k"});
  EXPECT_EQ(verdict(build_image(unknown)), "invalid_input");
  EXPECT_EQ(must(scratch.dir().list(".")), std::vector<std::string>{"image.raw"});
  EXPECT_EQ(test::read_whole(scratch / "image.raw"), "old");
}

// The oracle is squashfs-tools.
TEST(ImageBuilder, UnsquashfsFindsManifestReleaseFileAndModulesOwnedByRoot) {
  const TempDir scratch;
  test::write_file(scratch / "image.raw", sample_bytes());
  const ByteRange data = open_image(scratch, "image.raw").data();
  test::write_file(scratch / "squashfs", sample_bytes().substr(data.offset, data.size));
  must(run_program({"unsquashfs", "-no-progress", "-dest", scratch / "tree", scratch / "squashfs"}));
  EXPECT_EQ(test::read_whole(scratch / "tree/usr/lib/driverext/manifest.json"),
            format_manifest(test::sample_manifest()));
  EXPECT_EQ(test::read_whole(scratch / "tree/usr/lib/extension-release.d/extension-release.testcam"),
            "ID=debian\nVERSION_ID=12\nARCHITECTURE=x86-64\n");
  for (const auto& [path, text] : test::sample_files())
    EXPECT_TRUE(test::read_whole(scratch / ("tree/" + path)) == text) << path;
  const std::string list = must(run_program({"unsquashfs", "-lln", scratch / "squashfs"}));
  EXPECT_EQ(list.find(" 0/1"), std::string::npos) << list;
  EXPECT_EQ(list.find("modules."), std::string::npos) << "an index in an extension masks the host's";
  EXPECT_NE(list.find("drwxr-xr-x 0/0"), std::string::npos) << list;
}

// The oracle is cryptsetup.
TEST(ImageBuilder, VeritysetupVerifiesTheImageInPlace) {
  const TempDir scratch;
  test::write_file(scratch / "image.raw", sample_bytes());
  const ImageFile image = open_image(scratch, "image.raw");
  const std::string file = scratch / "image.raw";
  test::write_file(scratch / "data", sample_bytes().substr(image.data().offset, image.data().size));
  const auto result =
      run_program({"veritysetup", "verify", scratch / "data", file,
                   "--hash-offset=" + std::to_string(image.hash().offset), to_hex(image.signature_block().root_hash)});
  if (!result && result.error().code == Errc::not_found) GTEST_SKIP() << "there is no veritysetup on this machine";
  EXPECT_EQ(message(result), "fine");
}

TEST(ImageBuilder, PartitionsFollowTheDiscoverablePartitionsSpecification) {
  const auto partitions = test::partitions_of(sample_bytes());
  ASSERT_EQ(partitions.size(), 3U);
  const Architecture& x86 = *find_architecture("x86-64");
  EXPECT_EQ(guid_to_text(partitions[0].type), x86.root);
  EXPECT_EQ(guid_to_text(partitions[1].type), x86.root_verity);
  EXPECT_EQ(guid_to_text(partitions[2].type), x86.root_verity_signature);
  std::string ids = guid_to_text(partitions[0].uuid) + guid_to_text(partitions[1].uuid);
  std::erase(ids, '-');
  EXPECT_EQ(ids, test::signature_of(sample_bytes())["rootHash"].get<std::string>());
  for (const Partition& partition : partitions) {
    EXPECT_EQ(partition.attributes, kPartitionReadOnly);
    EXPECT_EQ(partition.offset % 4096, 0U);
    EXPECT_EQ(partition.size % 4096, 0U);
  }
}

TEST(ImageBuilder, Arm64ImagesHaveTheirOwnPartitionTypes) {
  const std::string bytes = build_bytes({.architecture = "arm64"}, &test::publisher());
  EXPECT_EQ(guid_to_text(test::partitions_of(bytes)[0].type), find_architecture("arm64")->root);
  EXPECT_EQ(verdict(test::verify_bytes(bytes)), "fine");
}

TEST(ImageBuilder, ManifestCanBeReadBeforeAndAfterSigning) {
  for (const test::Identity* signer : {static_cast<const test::Identity*>(nullptr), &test::publisher()}) {
    EXPECT_EQ(must(unverified_manifest_text(must(test::open_bytes(build_bytes({}, signer))))),
              format_manifest(test::sample_manifest()));
  }
}

// Images that are made of whole directories.
class ImageOfATree : public ::testing::Test {
 protected:
  void file(const std::string& name, const std::string& text = "x", mode_t mode = 0644) {
    test::write_file(scratch_ / ("tree/" + name), text, mode);
  }
  void link(const std::string& target, const std::string& name) {
    must(scratch_.dir().make_link(target, "tree/" + name));
  }
  // Builds an image of that kind of the tree. An extension's modules come beside it.
  Result<BuiltImage> build(Kind kind) {
    BuildRequest request = sample_request(scratch_ / "image.raw", {.kind = kind});
    if (kind != Kind::complete) request.files.clear();
    request.trees = {{scratch_ / "tree", kind == Kind::source ? source_folder(request.manifest) : ""}};
    return build_image(request);
  }
  // What the kernel would show of it, by unsquashfs.
  void unpack() {
    const std::string bytes = test::read_whole(scratch_ / "image.raw");
    const Partition data = test::partitions_of(bytes)[0];
    test::write_file(scratch_ / "squashfs", std::string_view(bytes).substr(data.offset, data.size));
    must(run_program({"unsquashfs", "-no-progress", "-dest", scratch_ / "out", scratch_ / "squashfs"}));
  }
  std::string refusal(Kind kind) {
    const auto built = build(kind);
    EXPECT_EQ(verdict(built), "invalid_input");
    EXPECT_FALSE(test::exists(scratch_ / "image.raw"));
    return message(built);
  }
  TempDir scratch_;
};

TEST_F(ImageOfATree, LinksStayLinksAndProgramsStayPrograms) {
  file("usr/bin/tool", "a program", 0700);
  file("usr/lib/libx.so.1.0", "a library", 0600);
  link("libx.so.1.0", "usr/lib/libx.so.1");
  link("/usr/bin/tool", "usr/bin/absolute");
  link("no-such-file", "usr/lib/dangling");
  must(build(Kind::complete));
  unpack();
  EXPECT_EQ(test::read_whole(scratch_ / "out/usr/bin/tool"), "a program");
  EXPECT_EQ(must(scratch_.dir().read_link("out/usr/lib/libx.so.1")), "libx.so.1.0");
  EXPECT_EQ(must(scratch_.dir().read_link("out/usr/bin/absolute")), "/usr/bin/tool");
  EXPECT_EQ(must(scratch_.dir().read_link("out/usr/lib/dangling")), "no-such-file");
  EXPECT_EQ(must(scratch_.dir().status("out/usr/bin/tool"))->st_mode & 07777, 0755U);
  EXPECT_EQ(must(scratch_.dir().status("out/usr/lib/libx.so.1.0"))->st_mode & 07777, 0644U);
  EXPECT_TRUE(test::exists(scratch_ / "out/usr/lib/driverext/manifest.json"));
  EXPECT_TRUE(test::exists(scratch_ / ("out/" + test::sample_manifest().modules[0].path)));
}

TEST_F(ImageOfATree, OfModesOnlyTheOwnersExecuteBitIsKept) {
  file("usr/bin/tool", "a program", 0770);
  file("usr/lib/data", "data", 0666);
  ASSERT_EQ(::chmod((scratch_ / "tree/usr/bin").c_str(), 02777), 0);
  must(build(Kind::complete));
  unpack();
  EXPECT_EQ(must(scratch_.dir().status("out/usr/bin/tool"))->st_mode & 07777, 0755U);
  EXPECT_EQ(must(scratch_.dir().status("out/usr/lib/data"))->st_mode & 07777, 0644U);
  EXPECT_EQ(must(scratch_.dir().status("out/usr/bin"))->st_mode & 07777, 0755U);
}

// Its compression, its layout and its names must survive: the archive that mksquashfs is fed with is ours.
TEST_F(ImageOfATree, LongNamesOddNamesAndFilesOfEverySizeArriveWhole) {
  const std::string deep = "usr/lib/" + std::string(120, 'd') + "/" + std::string(200, 'f');
  const std::string odd = "usr/lib/with blank, \"quotes\", back\\slash and\nline break";
  std::map<std::string, std::string> files = {{deep, "deep"}, {odd, "odd"}, {"usr/lib/empty", ""}};
  for (const size_t size : {1, 511, 512, 513, 4096, 131'071, 131'072, 131'073, 3'000'000}) {
    files["usr/lib/size-" + std::to_string(size)] = test::stand_in("x", size).substr(0, size);
  }
  for (const auto& [path, text] : files) file(path, text);
  link(std::string(150, 't'), "usr/lib/long-link");
  must(build(Kind::complete));
  unpack();
  for (const auto& [path, text] : files) EXPECT_TRUE(test::read_whole(scratch_ / ("out/" + path)) == text) << path;
  EXPECT_EQ(must(scratch_.dir().read_link("out/usr/lib/long-link")), std::string(150, 't'));
}

TEST_F(ImageOfATree, NothingOfTheMachineThatPackedItIsInTheImage) {
  file("usr/lib/b", test::stand_in("b", 300'000));
  file("usr/lib/a", test::stand_in("a", 300'000));
  link("a", "usr/lib/c");
  must(build(Kind::complete));
  const std::string usual = test::read_whole(scratch_ / "image.raw");
  // Another day, umask, mode, order of creation, folder, and one processor.
  const mode_t umask_before = ::umask(0077);
  const TempDir elsewhere;
  must(elsewhere.dir().make_link("a", "deeper/tree/usr/lib/c"));
  for (const char* name : {"a", "b"}) {
    const std::string path = elsewhere / ("deeper/tree/usr/lib/" + std::string(name));
    test::write_file(path, test::stand_in(name, 300'000), 0600);
    const timespec times[2] = {{1'234'567, 0}, {1'234'567, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }
  BuildRequest request = sample_request(elsewhere / "other.raw", {.kind = Kind::complete});
  request.trees = {{elsewhere / "deeper/tree", ""}};
  request.run_in = {"taskset", "--cpu-list", "0"};
  must(build_image(request));
  ::umask(umask_before);
  EXPECT_TRUE(usual == test::read_whole(elsewhere / "other.raw"));
}

TEST_F(ImageOfATree, SourcesStayAsTheyWere) {
  file("usr/bin/tool", "a program", 0700);
  link("tool", "usr/bin/link");
  const auto before = test::listing(scratch_ / "tree");
  must(build(Kind::complete));
  EXPECT_EQ(test::listing(scratch_ / "tree"), before);
}

TEST_F(ImageOfATree, TwoOfOnePathAreRefused) {
  file(test::sample_manifest().modules[0].path, "another one");
  EXPECT_NE(refusal(Kind::complete).find("testcam.ko"), std::string::npos);
}

TEST_F(ImageOfATree, NothingIsPutBelowALink) {
  link("lib64", "usr/lib");
  EXPECT_NE(refusal(Kind::complete).find("usr/lib"), std::string::npos);
}

TEST_F(ImageOfATree, WhatWouldChangeTheHostIsRefusedByItsPath) {
  const struct {
    const char* path;
    mode_t mode;
    const char* link;  // what a link says; nullptr: a file
  } cases[] = {
      {"usr/lib/driverext/trust/mine.crt", 0644, nullptr},
      {"usr/lib/driverext/trust", 0644, "/usr/share/trust"},
      {"usr/lib/driverext/driverext.toml.d/10-mine.toml", 0644, nullptr},
      {"usr/lib/os-release", 0644, nullptr},
      {"usr/lib/os-release", 0644, "../share/os-release"},
      {"usr/lib/x/os-release", 0644, nullptr},
      {"usr/lib/ld.so.cache", 0644, nullptr},
      {"usr/lib/driverext/root/etc/ld.so.cache", 0644, nullptr},
      {"usr/bin/become-root", 04755, nullptr},
      {"usr/bin/become-group", 02755, nullptr},
      {"usr/lib/modules/6.1/modules.dep", 0644, nullptr},
      {"usr/lib/modules/6.1/modules.alias.bin", 0644, "/usr/lib/x"},
      {"etc/driver.conf", 0644, nullptr},
      {"usrlocal", 0644, nullptr},
      {"usr/lib/out", 0644, "/etc/passwd"},
      {"usr/lib/out", 0644, "/usr/../etc/passwd"},
      {"usr/lib/out", 0644, "../../etc/passwd"},
      {"usr/lib/out", 0644, "../../../../usr/lib/x"},
      {"usr/lib/out", 0644, "/"},
      {"usr/lib/driverext/root/lib64/out", 0644, "../../lib/x"},
  };
  for (const auto& bad : cases) {
    std::filesystem::remove_all(scratch_ / "tree");
    file("usr/lib/libx.so");
    bad.link == nullptr ? file(bad.path, "x", bad.mode) : link(bad.link, bad.path);
    // It, or the folder that has no place there as a whole.
    const std::string words = refusal(Kind::complete);
    const std::string named = words.substr(0, words.find(' '));
    EXPECT_TRUE(named != "usr" && std::string_view(bad.path).starts_with(named)) << bad.path << ": " << words;
  }
}

// Behind a link, ".." goes up from where that link leads.
TEST_F(ImageOfATree, LinksAreFollowedOverOtherLinksOfTheTree) {
  const struct {
    const char* on_the_way;
    const char* way_says;
    const char* says;  ///< of usr/lib/x
  } cases[] = {
      {"usr/lib/y", "..", "y/../etc/shadow"},
      {"usr/lib/y", ".", "y/../../etc/shadow"},
      {"usr/lib/y", "/usr", "y/../etc/shadow"},
      {"usr/y", "lib", "../y/../../etc/shadow"},
      {"usr/lib/driverext/root/lib64/etc", "/etc", "driverext/root/lib64/etc"},
      {"usr/lib/driverext/root/lib64/etc", "/etc", "driverext/root/lib64/etc/shadow"},
      {"usr/lib/y", "x", "y"},
  };
  for (const auto& bad : cases) {
    std::filesystem::remove_all(scratch_ / "tree");
    link(bad.way_says, bad.on_the_way);
    link(bad.says, "usr/lib/x");
    const std::string words = refusal(Kind::complete);
    EXPECT_TRUE(words.starts_with("usr/lib/x ")) << bad.says << ": " << words;
    EXPECT_NE(words.find("leads out"), std::string::npos) << words;
  }
}

TEST_F(ImageOfATree, WhatADriverNeedsIsNotRefused) {
  file("usr/lib/x");
  file("usr/lib/modules/6.1/driverext/x/modules.txt");  // no index: not where one lies
  file("usr/share/doc/trust");
  file("usr/lib/driverext/root/lib64/ld.so");
  link("/lib/x86_64-linux-gnu/ld.so", "usr/lib/driverext/root/lib64/absolute");  // of the driver root
  link("../lib/x", "usr/lib/driverext/root/lib64/relative");
  link("/usr/lib/x", "usr/lib/absolute");
  link("../share/../lib/./x", "usr/lib/relative");
  link("x.1", "usr/lib/dangling");
  link("usr/lib", "usr/lib/driverext/root/lib");
  link("deep/er", "usr/lib/way");
  link("way/../../libx.so", "usr/lib/over-a-link");  // by text it would lead to usr/libx.so
  link("../../../usr/lib/x", "usr/lib/deep/over-the-root");
  EXPECT_EQ(message(build(Kind::complete)), "fine");
}

TEST_F(ImageOfATree, OutputThatIsNoFileIsNeverReplaced) {
  file("usr/lib/x");
  BuildRequest request = sample_request("", {.kind = Kind::complete});
  request.trees = {{scratch_ / "tree", ""}};
  bool worked = false;
  request.progress = [&](const BuildProgress&) { worked = true; };
  std::filesystem::create_directory(scratch_ / "folder");
  ASSERT_EQ(::mkfifo((scratch_ / "pipe").c_str(), 0600), 0);
  must(scratch_.dir().make_link("pipe", "link-to-pipe"));
  std::vector<std::string> outputs = {scratch_ / "folder", scratch_ / "pipe", scratch_ / "link-to-pipe"};
  // The test's own: the machine's would be gone where this rule does not hold.
  if (::mknod((scratch_ / "device").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0)
    outputs.push_back(scratch_ / "device");
  for (const std::string& output : outputs) {
    request.output = output;
    const auto before = std::filesystem::status(output).type();
    EXPECT_EQ(verdict(build_image(request)), "conflict") << output;
    EXPECT_EQ(std::filesystem::status(output).type(), before);
  }
  EXPECT_FALSE(worked);
  EXPECT_TRUE(std::filesystem::is_symlink(scratch_ / "link-to-pipe"));
  must(scratch_.dir().make_link("nothing", "link"));
  request.output = scratch_ / "link";
  EXPECT_EQ(message(build_image(request)), "fine");
  EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(scratch_ / "link")));
}

TEST_F(ImageOfATree, SpecialFilesAreRefusedByName) {
  file("usr/lib/x");
  ASSERT_EQ(::mkfifo((scratch_ / "tree/usr/lib/fifo").c_str(), 0600), 0);
  EXPECT_NE(message(build(Kind::complete)).find("fifo"), std::string::npos) << message(build(Kind::complete));
  EXPECT_FALSE(test::exists(scratch_ / "image.raw"));
}

// A source or a builder stands over no host.
TEST_F(ImageOfATree, WhatIsNotMergedMayHoldAnything) {
  file("etc/passwd");
  file("usr/lib/os-release");
  file("usr/bin/su", "", 04755);
  link("/etc/localtime", "etc/out");
  EXPECT_EQ(message(build(Kind::builder)), "fine");
}

TEST_F(ImageOfATree, SourceStandsInItsFolder) {
  file("Kbuild", "obj-m := x.o");
  file("src/x.c");
  file("conftest.sh", "#!/bin/sh", 0755);
  must(build(Kind::source));
  unpack();
  EXPECT_EQ(test::read_whole(scratch_ / "out/usr/src/driverext/testcam-1.0/Kbuild"), "obj-m := x.o");
  EXPECT_EQ(must(scratch_.dir().status("out/usr/src/driverext/testcam-1.0/conftest.sh"))->st_mode & 0777, 0755U);
  EXPECT_EQ(must(scratch_.dir().list("out")), std::vector<std::string>{"usr"});
}

TEST_F(ImageOfATree, BuilderIsAWholeRootFileSystem) {
  file("usr/bin/make", "", 0755);
  file("usr/lib/modules/6.1/modules.dep");  // its own, in no other host's way
  file("etc/passwd");
  link("usr/bin", "bin");
  must(build(Kind::builder));
  unpack();
  EXPECT_TRUE(test::exists(scratch_ / "out/etc/passwd"));
  EXPECT_EQ(must(scratch_.dir().read_link("out/bin")), "usr/bin");
}

TEST_F(ImageOfATree, EveryKindVerifiesOnceItIsSigned) {
  for (const test::SampleOptions& options :
       {test::SampleOptions{.kind = Kind::complete}, test::sample_source(), test::sample_builder()}) {
    EXPECT_EQ(verdict(test::verify_bytes(test::kept_bytes(options))), "fine") << kind_name(options.kind);
  }
}

TEST_F(ImageOfATree, MissingTreeIsNamed) {
  const auto built = build(Kind::complete);
  EXPECT_NE(verdict(built), "fine");
  EXPECT_NE(message(built).find(scratch_ / "tree"), std::string::npos) << message(built);
}

// How a host without mksquashfs packs: what it was given to run it in comes first.
TEST_F(ImageOfATree, PackerRunsInWhatItIsGiven) {
  file("usr/lib/x");
  test::write_file(scratch_ / "container", "echo \"$@\" > " + scratch_ / "seen" + "\nshift\nexec \"$@\"\n");
  BuildRequest request = sample_request(scratch_ / "a.raw", {.kind = Kind::complete});
  request.trees = {{scratch_ / "tree", ""}};
  must(build_image(request));
  request.output = scratch_ / "b.raw";
  request.run_in = {"sh", scratch_ / "container", "--some-option"};
  must(build_image(request));
  EXPECT_TRUE(test::read_whole(scratch_ / "seen").starts_with("--some-option env SOURCE_DATE_EPOCH="));
  EXPECT_TRUE(test::read_whole(scratch_ / "a.raw") == test::read_whole(scratch_ / "b.raw"));
}

// Fed to a packer that ends before it has read its input.
TEST_F(ImageOfATree, PackerThatFailsEarlyIsWhatIsReported) {
  file("usr/lib/big", test::stand_in("big", 4'000'000));
  BuildRequest request = sample_request(scratch_ / "image.raw", {.kind = Kind::complete});
  request.trees = {{scratch_ / "tree", ""}};
  request.run_in = {"sh", "-c", "echo no such luck; exit 3"};
  const auto built = build_image(request);
  EXPECT_NE(message(built).find("no such luck"), std::string::npos) << message(built);
  EXPECT_EQ(must(scratch_.dir().list(".")), std::vector<std::string>{"tree"});
}

class ImageWithErofs : public ImageOfATree {
 protected:
  void SetUp() override {
    const auto there = run_program({"mkfs.erofs", "--help"});
    if (!there && there.error().code == Errc::not_found) GTEST_SKIP() << "there is no mkfs.erofs on this machine";
    file("usr/bin/tool", test::stand_in("tool", 200'000), 0700);
    file("usr/lib/libx.so.1.0", "a library", 0666);
    link("libx.so.1.0", "usr/lib/libx.so.1");
  }
  BuildRequest erofs_request(const std::string& output) {
    BuildRequest request = sample_request(output, {.kind = Kind::complete});
    request.trees = {{scratch_ / "tree", ""}};
    request.type = FileSystem::erofs;
    return request;
  }
};

// The oracle is erofs-utils.
TEST_F(ImageWithErofs, FsckErofsFindsWhatWasPutIn) {
  must(build_image(erofs_request(scratch_ / "image.raw")));
  const std::string bytes = test::read_whole(scratch_ / "image.raw");
  const Partition data = test::partitions_of(bytes)[0];
  test::write_file(scratch_ / "erofs", std::string_view(bytes).substr(data.offset, data.size));
  must(run_program({"fsck.erofs", "--extract=" + scratch_ / "out", "--preserve-perms", scratch_ / "erofs"}));
  EXPECT_TRUE(test::read_whole(scratch_ / "out/usr/bin/tool") == test::stand_in("tool", 200'000));
  EXPECT_EQ(must(scratch_.dir().status("out/usr/bin/tool"))->st_mode & 07777, 0755U);
  EXPECT_EQ(must(scratch_.dir().status("out/usr/lib/libx.so.1.0"))->st_mode & 07777, 0644U);
  EXPECT_EQ(must(scratch_.dir().read_link("out/usr/lib/libx.so.1")), "libx.so.1.0");
  EXPECT_EQ(must(scratch_.dir().list(".")), (std::vector<std::string>{"erofs", "image.raw", "out", "tree"}));
}

TEST_F(ImageWithErofs, SameInputGivesTheSameBytes) {
  must(build_image(erofs_request(scratch_ / "a.raw")));
  const mode_t umask_before = ::umask(0077);
  const timespec times[2] = {{1'234'567, 0}, {1'234'567, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (scratch_ / "tree/usr/bin/tool").c_str(), times, 0), 0);
  BuildRequest request = erofs_request(scratch_ / "b-of-another-length.raw");
  request.run_in = {"taskset", "--cpu-list", "0"};
  must(build_image(request));
  ::umask(umask_before);
  EXPECT_TRUE(test::read_whole(scratch_ / "a.raw") == test::read_whole(scratch_ / "b-of-another-length.raw"));
}

// File systems that somebody else has made.
class ImageOfAFileSystem : public ImageOfATree {
 protected:
  void SetUp() override {
    for (const auto& [path, text] : test::sample_files()) file(path, text);
    file(std::string(kManifestPath), format_manifest(test::sample_manifest()));
  }
  void pack() {
    must(run_program({"mksquashfs", scratch_ / "tree", scratch_ / "finished", "-noappend", "-quiet", "-no-progress"}));
  }
  Result<BuiltImage> wrap() {
    BuildRequest request = sample_request(scratch_ / "image.raw");
    request.files.clear();
    request.file_system = scratch_ / "finished";
    key_ = test::publisher().signing_key();
    request.key = &*key_;
    return build_image(request);
  }
  std::string verified() {
    const std::string bytes = test::read_whole(scratch_ / "image.raw");
    const auto image = test::verify_bytes(bytes);
    if (!image) return verdict(image);
    const Partition data = test::partitions_of(bytes)[0];
    const std::string finished = test::read_whole(scratch_ / "finished");
    EXPECT_TRUE(bytes.substr(data.offset, finished.size()) == finished) << "it is to be kept as it is";
    return verdict(image->check_all_data());
  }
  std::optional<SigningKey> key_;
};

TEST_F(ImageOfAFileSystem, FinishedSquashfsIsWrappedAsItIs) {
  pack();
  must(wrap());
  EXPECT_EQ(verified(), "fine");
  const FinishedFileSystem found = must(read_file_system(scratch_ / "finished"));
  EXPECT_EQ(found.manifest_text, format_manifest(test::sample_manifest()));
  EXPECT_TRUE(found.entries.contains(test::sample_manifest().modules[0].path));
}

TEST_F(ImageOfAFileSystem, FinishedErofsIsWrappedAsItIs) {
  const auto made = run_program({"mkfs.erofs", scratch_ / "finished", scratch_ / "tree"});
  if (!made && made.error().code == Errc::not_found) GTEST_SKIP() << "there is no mkfs.erofs on this machine";
  must(wrap());
  EXPECT_EQ(verified(), "fine");
}

// Bytes of a manifest that another tool has written: what is signed is what stands in the file system.
TEST_F(ImageOfAFileSystem, SignedManifestIsTheOneInIt) {
  const std::string text = format_manifest(test::sample_manifest()) + "\n\n";
  file(std::string(kManifestPath), text);
  pack();
  must(wrap());
  EXPECT_EQ(must(test::verify_bytes(test::read_whole(scratch_ / "image.raw"))).manifest_text(), text);
}

TEST_F(ImageOfAFileSystem, OtherManifestOrNoneIsRefused) {
  file(std::string(kManifestPath), format_manifest(test::sample_manifest({.version = "2.0"})));
  pack();
  EXPECT_EQ(verdict(wrap()), "invalid_input");
  std::filesystem::remove(scratch_ / ("tree/" + std::string(kManifestPath)));
  pack();
  EXPECT_NE(message(wrap()).find("manifest.json"), std::string::npos) << message(wrap());
  test::write_file(scratch_ / "finished", std::string(10'000, 'x'));
  EXPECT_NE(message(wrap()).find("neither squashfs nor erofs"), std::string::npos) << message(wrap());
  EXPECT_FALSE(test::exists(scratch_ / "image.raw"));
}

TEST_F(ImageOfAFileSystem, RulesOfTreesHoldForItToo) {
  for (const char* bad : {"usr/lib/driverext/trust", "etc", "usr/lib/os-release", "usr/lib/ld.so.cache"}) {
    file(bad);
    pack();
    EXPECT_NE(message(wrap()).find(bad), std::string::npos) << message(wrap());
    std::filesystem::remove(scratch_ / ("tree/" + std::string(bad)));
  }
  file("usr/bin/become-root", "x", 04755);
  pack();
  EXPECT_NE(message(wrap()).find("usr/bin/become-root"), std::string::npos) << message(wrap());
  std::filesystem::remove(scratch_ / "tree/usr/bin/become-root");
  link("/etc/passwd", "usr/lib/out");
  pack();
  EXPECT_NE(message(wrap()).find("usr/lib/out"), std::string::npos) << message(wrap());
}

// unsquashfs prints names as they are.
TEST_F(ImageOfAFileSystem, NamesThatCannotBeToldInAListingAreRefused) {
  const std::string forged = "usr/lib/a\n-rw-r--r-- 0";
  for (const std::string& bad :
       {std::string("usr/lib/a\nb"), std::string("usr/lib/ends\n"), std::string("usr/lib/a -> b"),
        forged + "/0  1 2026-01-01 00:00 squashfs-root/usr/x"}) {
    file(bad);
    pack();
    EXPECT_NE(message(wrap()).find("line break"), std::string::npos) << bad << ": " << message(wrap());
    std::filesystem::remove_all(scratch_ /
                                ("tree/" + bad.substr(0, bad.starts_with(forged) ? forged.size() : bad.size())));
  }
  // Taken for a link to "x -> /etc/passwd", and for one to "x".
  for (const auto& [target, name] : {std::pair("/etc/passwd", "usr/lib/out -> x"), std::pair("x\ny", "usr/lib/out")}) {
    link(target, name);
    pack();
    EXPECT_NE(message(wrap()).find("line break"), std::string::npos) << message(wrap());
    std::filesystem::remove(scratch_ / ("tree/" + std::string(name)));
  }
  file("usr/lib/with two  spaces", "x");
  pack();
  must(wrap());
}

TEST_F(ImageOfAFileSystem, FileThatIsReplacedAfterItWasOpenedIsNotReadAgain) {
  pack();
  const FinishedFileSystem found = must(read_file_system(scratch_ / "finished"));
  const std::string before = test::read_whole(scratch_ / "finished");
  std::filesystem::remove(scratch_ / "finished");
  test::write_file(scratch_ / "finished", "another");
  EXPECT_EQ(must(read_fd(found.fd.get(), found.size, "finished")), before);
  BuildRequest request = sample_request(scratch_ / "image.raw");
  request.files.clear();
  pack();
  request.file_system = scratch_ / "finished";
  key_ = test::publisher().signing_key();
  request.key = &*key_;
  request.progress = [&](const BuildProgress& at) {
    if (!at.stage.starts_with("copying") || test::exists(scratch_ / "moved")) return;
    std::filesystem::rename(scratch_ / "finished", scratch_ / "moved");
    test::write_file(scratch_ / "finished", std::string(before.size(), 'x'));
  };
  must(build_image(request));
  std::filesystem::rename(scratch_ / "moved", scratch_ / "finished");
  EXPECT_EQ(verified(), "fine");
}

// Every moment at which a build tells how far it is: the signal comes just then.
class InterruptedBuild : public ImageOfATree {
 protected:
  void SetUp() override {
    // A test run in the background may ignore them.
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
    for (const char* name : {"a", "b", "c"}) file(std::string("usr/lib/") + name, test::stand_in(name, 3'000'000));
  }
  // Builds, and is sent `signal` at the n-th moment. Nothing once there was no such moment.
  std::optional<std::string> interrupted_at(int moment, int signal, BuildRequest request) {
    const Cancellation cancellation = must(Cancellation::catch_signals());
    request.cancel_fd = cancellation.fd();
    request.trees = {{scratch_ / "tree", ""}};
    int moments = 0;
    request.progress = [&](const BuildProgress&) {
      if (moments++ == moment) ::kill(::getpid(), signal);
    };
    const std::string outcome = verdict(build_image(request));
    if (moments <= moment) return std::nullopt;
    return outcome;
  }
  void try_every_moment(const BuildRequest& request, int at_least) {
    int moments = 0;
    for (int finished = 0; finished == 0; ++moments) {
      const auto outcome = interrupted_at(moments, moments % 2 == 0 ? SIGINT : SIGTERM, request);
      if (!outcome) break;
      // What is told last comes after the last look.
      finished = *outcome == "fine" ? 1 : 0;
      EXPECT_TRUE(*outcome == "transient" || finished != 0) << moments << ": " << *outcome;
      if (finished == 0) {
        EXPECT_EQ(must(scratch_.dir().list(".")), std::vector<std::string>{"tree"}) << moments;
      }
    }
    EXPECT_GE(moments, at_least);
    EXPECT_EQ(must(scratch_.dir().list(".")), (std::vector<std::string>{"image.raw", "tree"}));
  }
};

TEST_F(InterruptedBuild, LeavesNothingBehind) {
  try_every_moment(sample_request(scratch_ / "image.raw", {.kind = Kind::complete}), 8);
}

TEST_F(InterruptedBuild, LeavesNothingOfAnErofsBehind) {
  const auto there = run_program({"mkfs.erofs", "--help"});
  if (!there && there.error().code == Errc::not_found) GTEST_SKIP() << "there is no mkfs.erofs on this machine";
  BuildRequest request = sample_request(scratch_ / "image.raw", {.kind = Kind::complete});
  request.type = FileSystem::erofs;
  // Of what does not compress lz4hc takes ten seconds for the files as they are.
  for (const char* name : {"a", "b", "c"}) file(std::string("usr/lib/") + name, test::stand_in(name, 100'000));
  try_every_moment(request, 5);
}

TEST_F(InterruptedBuild, LeavesTheOldImage) {
  test::write_file(scratch_ / "image.raw", "old");
  EXPECT_EQ(interrupted_at(1, SIGINT, sample_request(scratch_ / "image.raw", {.kind = Kind::complete})), "transient");
  EXPECT_EQ(test::read_whole(scratch_ / "image.raw"), "old");
}

TEST_F(InterruptedBuild, ProgressGrowsToItsTotalInEachStage) {
  BuildRequest request = sample_request(scratch_ / "image.raw", {.kind = Kind::complete});
  request.trees = {{scratch_ / "tree", ""}};
  std::map<std::string, BuildProgress> last;
  request.progress = [&](const BuildProgress& now) {
    BuildProgress& before = last[std::string(now.stage)];
    EXPECT_GE(now.done, before.done);
    EXPECT_LE(now.done, now.total);
    before = now;
  };
  must(build_image(request));
  for (const char* stage : {"packing (squashfs, zstd)", "hashing (dm-verity)"}) {
    EXPECT_GE(last[stage].total, 9'000'000U) << stage;
    EXPECT_EQ(last[stage].done, last[stage].total) << stage;
  }
}

}  // namespace
}  // namespace driverext
