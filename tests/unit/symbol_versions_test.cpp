#include "host/symbol_versions.hpp"

#include <gtest/gtest.h>

#include "support/compressed.hpp"
#include "support/temp_dir.hpp"
#include "support/verdict.hpp"

namespace driverext {
namespace {

using test::message;
using test::must;
using test::TempDir;
using test::verdict;
using test::write_file;

constexpr const char* kRelease = "6.1.0-56-amd64";
constexpr const char* kText =
    "0x037a0cba\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n"
    "0xA39F6c12\tdma_buf_export\tvmlinux\tEXPORT_SYMBOL_GPL\tDMA_BUF\n"
    "0xffffffff\told_one\tdrivers/x/y\tEXPORT_SYMBOL_GPL\n";

std::string refusal(const std::string& text) { return message(SymbolVersions::parse(text, "list")); }

TEST(SymbolVersions, AreFoundByName) {
  const SymbolVersions versions = must(SymbolVersions::parse(kText, "list"));
  EXPECT_EQ(versions.size(), 3U);
  EXPECT_EQ(versions.source(), "list");
  EXPECT_EQ(versions.find("kfree"), 0x037a0cbaU);
  EXPECT_EQ(versions.find("dma_buf_export"), 0xa39f6c12U);
  EXPECT_EQ(versions.find("old_one"), 0xffffffffU);  // without a namespace, as before Linux 5.4
  EXPECT_FALSE(versions.find("kfre"));
  EXPECT_FALSE(versions.find(""));
}

TEST(SymbolVersions, AreStillThereWhenTheObjectWasMoved) {
  SymbolVersions first = must(SymbolVersions::parse("0x00000001\ta\tb\tEXPORT_SYMBOL\t\n", "short"));
  const SymbolVersions second = std::move(first);
  EXPECT_EQ(second.find("a"), 1U);
}

// More of them than a text of that size usually has.
TEST(SymbolVersions, ManyShortOnesAreAllFound) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "0x000000ff\t" + std::to_string(i) + "\tv\tEXPORT_\n";
  const SymbolVersions versions = must(SymbolVersions::parse(text, "list"));
  EXPECT_EQ(versions.size(), 2000U);
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(versions.find(std::to_string(i)), 0xffU) << i;
  EXPECT_FALSE(versions.find("2000"));
}

TEST(SymbolVersions, DamagedLineIsNamed) {
  const std::string good = "0x00000001\ta\tvmlinux\tEXPORT_SYMBOL\t\n";
  const std::string what = "line 2 of list is not a symbol with its CRC, module and kind of export";
  for (const char* line :
       {"\n", "\n\n", "0x0000001\tb\tvmlinux\tEXPORT_SYMBOL\t\n", "0x000000001\tb\tvmlinux\tEXPORT_SYMBOL\t\n",
        "00000000a1\tb\tvmlinux\tEXPORT_SYMBOL\t\n", "0x0000000g\tb\tvmlinux\tEXPORT_SYMBOL\t\n",
        "0x-0000001\tb\tvmlinux\tEXPORT_SYMBOL\t\n", "0x00000001\t\tvmlinux\tEXPORT_SYMBOL\t\n",
        "0x00000001\tb c\tvmlinux\tEXPORT_SYMBOL\t\n", "0x00000001\tb\t\tEXPORT_SYMBOL\t\n",
        "0x00000001\tb\tvmlinux\t\t\n", "0x00000001\tb\tvmlinux\n", "0x00000001 b vmlinux EXPORT_SYMBOL\n",
        "0x00000001\tb\tvmlinux\tEXPORT_SYMBOL\tNS\tmore\n",
        "\x7f"
        "ELF\1\1\n"}) {
    EXPECT_EQ(refusal(good + line), what) << line;
  }
  EXPECT_EQ(refusal(good + "0x00000001\t" + std::string(2000, 'b') + "\tvmlinux\tEXPORT_SYMBOL\t\n"), what);
}

TEST(SymbolVersions, ListThatIsCutOffIsRefused) {
  const std::string text = kText;
  for (size_t length = 0; length < text.size(); ++length) {
    const bool whole_lines = length != 0 && text[length - 1] == '\n';
    EXPECT_EQ(verdict(SymbolVersions::parse(text.substr(0, length), "list")), whole_lines ? "fine" : "invalid_input")
        << length;
  }
  EXPECT_EQ(refusal(""), "list is empty");
}

TEST(SymbolVersions, SymbolWithTwoVersionsIsRefused) {
  const std::string line = "0x00000001\ta\tvmlinux\tEXPORT_SYMBOL\t\n";
  EXPECT_EQ(must(SymbolVersions::parse(line + line, "list")).size(), 1U);
  EXPECT_EQ(refusal(line + "0x00000002\ta\tother\tEXPORT_SYMBOL\t\n"),
            "line 2 of list has another CRC of symbol a than a line before it");
}

class SymbolVersionsOfHost : public ::testing::Test {
 protected:
  [[nodiscard]] std::string source() const {
    const auto versions = must(read_symbol_versions(root_.dir(), kRelease));
    return versions ? versions->source().substr(root_.path().size() + 1) : "none";
  }
  TempDir root_;
};

TEST_F(SymbolVersionsOfHost, AreFoundWhereverDistributionsKeepThem) {
  EXPECT_EQ(source(), "none");
  const std::string release = kRelease;
  const std::string beside = "lib/modules/" + release;
  // From the last place to the first: each is preferred to those before it.
  for (const std::string& place :
       {"usr/src/kernels/" + release + "/Module.symvers", "usr/src/linux-headers-" + release + "/Module.symvers",
        beside + "/build/Module.symvers", "usr/" + beside + "/build/Module.symvers", "boot/symvers-" + release,
        "boot/symvers-" + release + ".zst", "boot/symvers-" + release + ".xz", "boot/symvers-" + release + ".gz",
        beside + "/Module.symvers", "usr/" + beside + "/Module.symvers", beside + "/symvers",
        "usr/" + beside + "/symvers", beside + "/symvers.zst", "usr/" + beside + "/symvers.zst", beside + "/symvers.xz",
        "usr/" + beside + "/symvers.xz", beside + "/symvers.gz", "usr/" + beside + "/symvers.gz"}) {
    write_file(root_ / place, kText);
    EXPECT_EQ(source(), place);
  }
}

TEST_F(SymbolVersionsOfHost, OfAnotherKernelDoNotCount) {
  write_file(root_ / "usr/lib/modules/6.1.0-55-amd64/symvers", kText);
  EXPECT_EQ(source(), "none");
}

TEST_F(SymbolVersionsOfHost, AreDecompressed) {
  const std::string place = root_ / ("usr/lib/modules/" + std::string(kRelease) + "/symvers.gz");
  write_file(place, test::gzipped(kText));
  EXPECT_EQ(must(read_symbol_versions(root_.dir(), kRelease))->find("kfree"), 0x037a0cbaU);
  const std::string whole = test::gzipped(kText);
  for (const size_t length : {size_t{3}, whole.size() / 2, whole.size() - 1}) {
    write_file(place, whole.substr(0, length));
    EXPECT_EQ(verdict(read_symbol_versions(root_.dir(), kRelease)), "invalid_input") << length;
  }
}

TEST_F(SymbolVersionsOfHost, DamagedOnesAreAnErrorThatNamesTheFile) {
  const std::string place = root_ / ("boot/symvers-" + std::string(kRelease));
  write_file(place, "what is this\n");
  EXPECT_EQ(message(read_symbol_versions(root_.dir(), kRelease)),
            "line 1 of " + place + " is not a symbol with its CRC, module and kind of export");
}

}  // namespace
}  // namespace driverext
