// Driver packages made at test time: tar archives down to the byte, the script in front of them, and what lies inside.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "temp_dir.hpp"

namespace driverext::test {

struct TarEntry {
  std::string name;
  std::string content = {};
  char type = '0';  ///< ustar: 0 file, 1 hard link, 2 link, 3 device, 5 folder, 6 fifo
  std::string link = {};
  unsigned mode = 0644;
  long time = 1'700'000'000;
};

/// An archive of these entries, whatever they say, with its end.
std::string tar_of(const std::vector<TarEntry>& entries);

/// `filter` ("xz", "zstd", ...) is a program that compresses from standard input; "cat" leaves the bytes alone.
std::string compressed(const std::string& bytes, const std::string& filter);

struct OldScript {
  std::string version = "580.65.06";
  std::string decompressor = {};  ///< stands between script and archive
  std::string run = {};           ///< a shell command that the script would run
};

/// A file as makeself 1.6.0-nv makes them: `skip`, and checksums by cksum(1) and md5sum(1) of all from line 4 on.
std::string self_extracting(const std::string& payload, const OldScript& script = {});

/// An ELF shared library: as much as the dynamic linker looks at.
struct TinyLibrary {
  std::string soname = {};
  uint16_t machine = 62;  ///< EM_X86_64
};
std::string tiny_library(const TinyLibrary& library = {});
/// The same of 32 bit, for i686.
std::string tiny_library_32(const std::string& soname);

/// A small driver package of version 580.65.06: its manifest and files.
std::string sample_installer_manifest();
std::vector<TarEntry> sample_package();
/// Writes the entries (files only) below a folder.
void write_package(const std::string& folder, const std::vector<TarEntry>& entries);

}  // namespace driverext::test
