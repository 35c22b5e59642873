#include "userland/self_extracting.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "base/text.hpp"
#include "support/package.hpp"
#include "support/verdict.hpp"
#include "sys/process.hpp"
#include "userland/cksum.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::TempDir;
using test::verdict;

SelfExtracting parsed(const std::string& file) { return must(parse_self_extracting(file, file.size())); }

std::string payload_of(const std::string& file) {
  const SelfExtracting archive = parsed(file);
  return file.substr(archive.payload.offset, archive.payload.size);
}

Result<Checksum> checked(const std::string& file) {
  const TempDir tmp;
  test::write_file(tmp / "x.run", file);
  TRY(const SelfExtracting archive, parse_self_extracting(file, file.size()));
  const UniqueFd fd(::open((tmp / "x.run").c_str(), O_RDONLY | O_CLOEXEC));
  return check_integrity(fd.get(), archive, "x.run", {});
}

// As the makeself that this machine has makes it.
std::string made_by_makeself(const std::string& options) {
  const TempDir tmp;
  test::write_file(tmp / "in/file", std::string(5000, 'x'));
  test::write_file(tmp / "in/setup", "#!/bin/sh\ntouch /tmp/was-run\n", 0755);
  must(run_program(
      {"sh", "-c", "makeself " + options + " " + (tmp / "in") + " " + (tmp / "out.run") + " 'A label' ./setup 2>&1"}));
  return test::read_whole(tmp / "out.run");
}

const std::string kPayload = "PAYLOAD\nof several\nlines";

TEST(SelfExtracting, OldScriptNamesTheFirstLineOfItsArchive) {
  const std::string file = test::self_extracting(kPayload);
  EXPECT_EQ(payload_of(file), kPayload);
  const SelfExtracting archive = parsed(file);
  EXPECT_EQ(archive.version, "580.65.06");
  EXPECT_EQ(archive.label, "Sample driver");
  EXPECT_EQ(archive.machine, "x86_64");
}

TEST(SelfExtracting, EmbeddedDecompressorIsPassedOver) {
  EXPECT_EQ(payload_of(test::self_extracting(kPayload, {.decompressor = "\x7f"
                                                                        "ELF\n\nskip=1\nfilesizes=\"3\"\n\x01"})),
            kPayload);
}

TEST(SelfExtracting, ArchivesOfTheRealMakeselfAreRead) {
  for (const char* options : {"--gzip", "--xz", "--zstd", "--bzip2", "--nocomp", "--nomd5", "--nocrc", "--sha256",
                              "--nomd5 --nocrc --sha256"}) {
    const std::string file = made_by_makeself(options);
    const SelfExtracting archive = parsed(file);
    EXPECT_EQ(archive.payload.offset + archive.payload.size, file.size()) << options;
    EXPECT_EQ(archive.label, "A label") << options;
    const std::string_view wanted = std::string_view(options);
    const Checksum checksum = wanted.find("sha256") != std::string_view::npos ? Checksum::sha256
                              : wanted == "--nomd5"                           ? Checksum::crc
                                                                              : Checksum::md5;
    EXPECT_EQ(must(checked(file)), checksum) << options;
  }
}

TEST(SelfExtracting, BeforeMakeself243TheLineStandsInACommand) {
  const std::string script =
      "#!/bin/sh\nCRCsum=\"0\"\nMD5=\"00000000000000000000000000000000\"\nfilesizes=\"5\"\n"
      "    offset=`head -n $x \"$0\" | wc -c`\n    offset=`head -n 7 \"$0\" | wc -c | tr -d \" \"`\nexit 0\n";
  EXPECT_EQ(payload_of(script + "12345"), "12345");
  EXPECT_EQ(must(checked(script + "12345")), Checksum::none);
}

TEST(SelfExtracting, LicenceThatStandsInTheScriptSetsNothing) {
  const std::string script = "#!/bin/sh\nfilesizes=\"5\"\nlicensetxt=\"Terms\nfilesizes=\"9\"\"\nskip=\"6\"\nexit 0\n";
  EXPECT_EQ(payload_of(script + "12345"), "12345");
}

TEST(SelfExtracting, ChecksumOfEveryStyleIsCompared) {
  EXPECT_EQ(must(checked(test::self_extracting(kPayload))), Checksum::md5);
  std::string without = test::self_extracting(kPayload);
  without.replace(without.find("MD5=") + 4, 32, 32, '0');
  EXPECT_EQ(must(checked(without)), Checksum::crc);
}

TEST(SelfExtracting, ChangedByteIsDamage) {
  const std::string file = test::self_extracting(kPayload);
  std::string crc_only = file;
  crc_only.replace(crc_only.find("MD5=") + 4, 32, 32, '0');
  for (std::string damaged : {file, crc_only, made_by_makeself("--gzip"), made_by_makeself("--sha256")}) {
    damaged.back() = static_cast<char>(damaged.back() ^ 1);
    EXPECT_NE(message(checked(damaged)).find("damaged"), std::string::npos);
  }
}

TEST(SelfExtracting, FileThatIsCutShortIsRefusedEverywhere) {
  for (const std::string& file : {test::self_extracting(kPayload), made_by_makeself("--gzip")}) {
    for (size_t i = 0; i < 32; ++i) {
      EXPECT_EQ(verdict(checked(file.substr(0, file.size() * i / 32))), "invalid_input") << i;
    }
    EXPECT_EQ(verdict(checked(file.substr(0, file.size() - 1))), "invalid_input");
  }
}

TEST(SelfExtracting, ScriptThatSaysNothingUsefulIsRefused) {
  for (const char* text :
       {"", "#!/bin/sh\n", "skip=2\nx\n",
        "\x7f"
        "ELF",
        "#!/bin/sh\nskip=0\nx", "#!/bin/sh\nskip=-1\nx", "#!/bin/sh\nskip=3x\nx", "#!/bin/sh\nskip=\nx",
        "#!/bin/sh\nskip=9\nx", "#!/bin/sh\nskip=18446744073709551616\nx", "#!/bin/sh\nskip=3\n",
        "#!/bin/sh\nfilesizes=\"1 2\"\nskip=\"3\"\n123", "#!/bin/sh\nfilesizes=\"x\"\nskip=\"3\"\n1",
        "#!/bin/sh\nfilesizes=\"1\"\n1", "#!/bin/sh\nfilesizes=\"2\"\nskip=\"3\"\n1",
        "#!/bin/sh\nfilesizes=\"18446744073709551615\"\nskip=\"3\"\n1"}) {
    EXPECT_EQ(verdict(parse_self_extracting(text, std::string_view(text).size())), "invalid_input") << text;
  }
}

TEST(SelfExtracting, ChecksumIsThatOfCksum) {
  const TempDir tmp;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{255}, size_t{256}, size_t{70'000}}) {
    std::string bytes;
    for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(i * 7);
    test::write_file(tmp / "x", bytes);
    Cksum sum;
    sum.update(as_bytes(bytes));
    const std::string said = must(run_program({"cksum", tmp / "x"}));
    EXPECT_EQ(std::to_string(sum.finish()), said.substr(0, said.find(' '))) << size;
  }
}

}  // namespace
}  // namespace driverext
