// libarchive, loaded when an archive is to be unpacked: the command also runs on hosts that have none, and its sixteen
// libraries would cost every other verb their start-up time.
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "base/result.hpp"

namespace driverext {

/// The functions that are used, as its header declares them.
struct LibArchive {
  decltype(&::archive_read_new) read_new = nullptr;
  decltype(&::archive_read_free) read_free = nullptr;
  decltype(&::archive_read_support_filter_gzip) support_gzip = nullptr;
  decltype(&::archive_read_support_filter_bzip2) support_bzip2 = nullptr;
  decltype(&::archive_read_support_filter_xz) support_xz = nullptr;
  decltype(&::archive_read_support_filter_zstd) support_zstd = nullptr;
  decltype(&::archive_read_support_format_tar) support_tar = nullptr;
  decltype(&::archive_read_open) read_open = nullptr;
  decltype(&::archive_read_next_header) next_header = nullptr;
  decltype(&::archive_read_data_block) data_block = nullptr;
  decltype(&::archive_error_string) error_string = nullptr;
  decltype(&::archive_set_error) set_error = nullptr;
  decltype(&::archive_entry_pathname) pathname = nullptr;
  decltype(&::archive_entry_hardlink) hardlink = nullptr;
  decltype(&::archive_entry_symlink) symlink = nullptr;
  decltype(&::archive_entry_filetype) filetype = nullptr;
  decltype(&::archive_entry_size) size = nullptr;
  decltype(&::archive_entry_mode) mode = nullptr;
  decltype(&::archive_entry_mtime) mtime = nullptr;
};

/// Loaded once, and kept. Errors: Errc::unsupported where it is not installed.
Result<const LibArchive*> load_libarchive();

}  // namespace driverext
