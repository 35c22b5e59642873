// Rules about the source itself: layers, where C libraries may appear, who closes descriptors.
#include <gtest/gtest.h>
#include <regex.h>

#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "base/text.hpp"
#include "support/temp_dir.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

// Folder → folders that it may include besides itself. Nothing else may depend on anything.
const std::map<std::string, std::set<std::string>> kLayers = {
    {"base", {}},
    {"sys", {"base"}},
    {"log", {"base", "sys"}},
    {"crypto", {"base", "sys"}},
    {"kernel", {"base", "sys", "log", "crypto"}},
    {"sysext", {"base", "sys", "log", "crypto"}},
    {"modules", {"base", "sys", "log", "crypto"}},
    {"toolkit", {"base", "sys", "log", "crypto"}},
    {"userland", {"base", "sys", "log", "crypto"}},
    {"kbuild", {"base", "sys", "log", "crypto", "modules"}},
    {"host", {"base", "sys", "log", "crypto", "sysext", "modules"}},
    {"driver", {"base", "sys", "log", "crypto", "kernel", "sysext", "modules", "host"}},
    {"provisioner", {"base", "sys", "log", "crypto", "kernel", "sysext", "modules", "toolkit", "host", "driver"}},
    {"channel", {"base", "sys", "log", "crypto", "kernel", "sysext", "modules", "toolkit"}},
    {"acquire",
     {"base", "sys", "log", "crypto", "kernel", "sysext", "modules", "toolkit", "host", "kbuild", "driver",
      "provisioner", "channel"}},
    {"doctor",
     {"base", "sys", "log", "crypto", "kernel", "sysext", "modules", "toolkit", "host", "driver", "provisioner",
      "channel"}},
    {"cli",
     {"base", "sys", "log", "crypto", "kernel", "sysext", "modules", "toolkit", "host", "userland", "kbuild", "driver",
      "provisioner", "channel", "acquire", "doctor"}},
};

// C library (a prefix of the header's name) → the only files or folders that may include it.
const std::vector<std::pair<std::string, std::vector<std::string>>> kConfined = {
    {"libkmod.h", {"sys/kmod.hpp"}},
    {"libmount", {"kernel/mount.cpp"}},
    {"systemd/", {"log/"}},
    {"openssl/", {"crypto/"}},
    {"toml++/", {"sys/toml_file.hpp"}},
    {"nlohmann/", {"base/json.hpp", "base/json_fwd.hpp"}},
    {"curl/", {"channel/libcurl.hpp"}},
    // Never where unverified bytes are looked at.
    {"blkid/", {"kernel/file_system_probe.cpp"}},
    {"lzma.h", {"modules/module_compression.cpp"}},
    {"zlib.h", {"modules/module_compression.cpp"}},
    {"zstd.h", {"modules/module_compression.cpp"}},
    {"archive", {"userland/libarchive.hpp"}},
};

constexpr const char* kCloses = R"((^|[^_a-zA-Z0-9>.])(::)?(close|fclose|close_range)\s*\()";

struct SourceFile {
  std::string name;  ///< below src/
  std::vector<std::string> lines;
};

const std::vector<SourceFile>& sources() {
  static const std::vector<SourceFile> files = [] {
    std::vector<SourceFile> found;
    const fs::path top = DRIVEREXT_SOURCE_ROOT "/src";
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(top)) {
      const std::string extension = entry.path().extension().string();
      if (extension != ".cpp" && extension != ".hpp") continue;
      found.push_back({fs::relative(entry.path(), top).string(), split(test::read_whole(entry.path().string()), '\n')});
    }
    return found;
  }();
  return files;
}

std::string folder_of(const std::string& name) { return name.substr(0, name.find('/')); }

// Names in #include "..." (quotes) or <...> of a file.
std::vector<std::string> includes(const SourceFile& file, char open) {
  std::vector<std::string> names;
  const std::string begin = std::string("#include ") + open;
  for (const std::string& line : file.lines) {
    if (line.starts_with(begin)) names.push_back(line.substr(begin.size(), line.find_last_of("\">") - begin.size()));
  }
  return names;
}

// A POSIX regular expression. (std::regex does not compile with sanitizers and warnings as errors.)
class Pattern {
 public:
  explicit Pattern(const std::string& text) {
    if (::regcomp(&compiled_, text.c_str(), REG_EXTENDED) != 0) throw std::runtime_error("bad pattern " + text);
  }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;
  ~Pattern() { ::regfree(&compiled_); }

  [[nodiscard]] bool is_in(const std::string& text) const {
    return ::regexec(&compiled_, text.c_str(), 0, nullptr, 0) == 0;
  }
  /// The first group of every match.
  [[nodiscard]] std::vector<std::string> groups_in(const std::string& text) const {
    std::vector<std::string> found;
    std::array<regmatch_t, 2> match{};
    for (const char* at = text.c_str(); ::regexec(&compiled_, at, match.size(), match.data(), 0) == 0;
         at += match[0].rm_eo) {
      found.emplace_back(at + match[1].rm_so, at + match[1].rm_eo);
    }
    return found;
  }

 private:
  regex_t compiled_{};
};

bool matches_anywhere(const SourceFile& file, const Pattern& pattern) {
  for (const std::string& line : file.lines) {
    if (pattern.is_in(line.substr(0, line.find("//")))) return true;
  }
  return false;
}

TEST(SourceRules, EveryFolderHasItsLayer) {
  ASSERT_GT(sources().size(), 50U);
  for (const SourceFile& file : sources()) EXPECT_TRUE(kLayers.contains(folder_of(file.name))) << file.name;
}

TEST(SourceRules, FoldersIncludeOnlyWhatIsToTheirLeft) {
  for (const SourceFile& file : sources()) {
    const std::string own = folder_of(file.name);
    for (const std::string& name : includes(file, '"')) {
      if (name == "config.h") continue;
      const std::string other = folder_of(name);
      EXPECT_TRUE(other == own || kLayers.at(own).contains(other)) << file.name << " includes " << name;
    }
  }
}

TEST(SourceRules, EachCLibraryIsConfined) {
  for (const SourceFile& file : sources()) {
    for (const std::string& name : includes(file, '<')) {
      for (const auto& [library, places] : kConfined) {
        if (!name.starts_with(library)) continue;
        bool allowed = false;
        for (const std::string& place : places) allowed = allowed || file.name.starts_with(place);
        EXPECT_TRUE(allowed) << file.name << " includes " << name;
      }
    }
  }
}

// All that is special about a driver stands in its definition. Comments may give examples.
TEST(SourceRules, NoVendorIsNamedInTheCode) {
  const Pattern vendor("[Nn][Vv][Ii][Dd][Ii][Aa]|[Vv]4[Ll]2|amdgpu|habana|hailo");
  for (const SourceFile& file : sources()) {
    for (const std::string& line : file.lines) {
      EXPECT_FALSE(vendor.is_in(line.substr(0, line.find("//")))) << file.name << ": " << line;
    }
  }
}

TEST(SourceRules, OnlyUniqueFdClosesDescriptors) {
  const Pattern closes(kCloses);
  for (const SourceFile& file : sources()) {
    if (file.name == "sys/fd.hpp" || file.name == "sys/stream.hpp") continue;
    EXPECT_FALSE(matches_anywhere(file, closes)) << file.name;
  }
}

// What a defaulted move does to a plain number is to copy it: two owners, closed or undone twice.
TEST(SourceRules, ClassWithADestructorOfItsOwnNeverDefaultsItsMoves) {
  const Pattern destructor(R"(~(\w+)\(\)\s*\{)");
  for (const SourceFile& file : sources()) {
    std::string text;
    for (const std::string& line : file.lines) text += line.substr(0, line.find("//")) + "\n";
    for (const std::string& name : destructor.groups_in(text)) {
      const Pattern defaulted(name + R"(\s*\(\s*)" + name + R"(\s*&&[^)]*\)\s*(noexcept\s*)?=\s*default)");
      EXPECT_FALSE(defaulted.is_in(text)) << file.name << ": " << name;
    }
  }
}

// The patterns above find what they are meant to find.
TEST(SourceRules, PatternsAreNotBlind) {
  EXPECT_TRUE(matches_anywhere({"x", {"  if (x) ::close(fd);"}}, Pattern(kCloses)));
  EXPECT_TRUE(matches_anywhere({"x", {"close(fd);"}}, Pattern(kCloses)));
  EXPECT_FALSE(matches_anywhere({"x", {"file.close(); closedir(d); // close(fd)"}}, Pattern(kCloses)));
  EXPECT_EQ(Pattern(R"(~(\w+)\(\)\s*\{)").groups_in("~A() { x } ~B() {}"), (std::vector<std::string>{"A", "B"}));
}

TEST(SourceRules, NothingSleepsOrExitsInLibraries) {
  const Pattern banned(R"(\b(sleep_for|usleep|nanosleep|std::system|popen|std::exit|_exit)\s*\()");
  for (const SourceFile& file : sources()) {
    // A forked child must not end as its parent does.
    if (file.name == "kernel/module_loader.cpp" || file.name == "kernel/driver_binding.cpp") continue;
    EXPECT_FALSE(matches_anywhere(file, banned)) << file.name;
  }
}

TEST(SourceRules, FilesAreAboutOneThing) {
  for (const SourceFile& file : sources()) EXPECT_LE(file.lines.size(), 401U) << file.name;
}

TEST(SourceRules, HeadersAreIncludedOnce) {
  for (const SourceFile& file : sources()) {
    if (!file.name.ends_with(".hpp")) continue;
    EXPECT_TRUE(matches_anywhere(file, Pattern("^#pragma once$"))) << file.name;
  }
}

}  // namespace
}  // namespace driverext
