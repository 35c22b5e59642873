#include "userland/libarchive.hpp"

#include <string>

#include "sys/shared_library.hpp"

namespace driverext {
namespace {

// The name of its binary interface since 2012.
constexpr const char* kFile = "libarchive.so.13";

Result<LibArchive> load() {
  const Result<SharedLibrary> library = SharedLibrary::load(kFile);
  if (!library) {
    return make_error(Errc::unsupported, "archives are unpacked by libarchive, which cannot be loaded (" +
                                             library.error().message() +
                                             "); install it, or unpack the archive elsewhere and name the folder");
  }
  LibArchive functions;
  const bool complete = library->find("archive_read_new", functions.read_new) &&
                        library->find("archive_read_free", functions.read_free) &&
                        library->find("archive_read_support_filter_gzip", functions.support_gzip) &&
                        library->find("archive_read_support_filter_bzip2", functions.support_bzip2) &&
                        library->find("archive_read_support_filter_xz", functions.support_xz) &&
                        library->find("archive_read_support_filter_zstd", functions.support_zstd) &&
                        library->find("archive_read_support_format_tar", functions.support_tar) &&
                        library->find("archive_read_open", functions.read_open) &&
                        library->find("archive_read_next_header", functions.next_header) &&
                        library->find("archive_read_data_block", functions.data_block) &&
                        library->find("archive_error_string", functions.error_string) &&
                        library->find("archive_set_error", functions.set_error) &&
                        library->find("archive_entry_pathname", functions.pathname) &&
                        library->find("archive_entry_hardlink", functions.hardlink) &&
                        library->find("archive_entry_symlink", functions.symlink) &&
                        library->find("archive_entry_filetype", functions.filetype) &&
                        library->find("archive_entry_size", functions.size) &&
                        library->find("archive_entry_mode", functions.mode) &&
                        library->find("archive_entry_mtime", functions.mtime);
  if (complete) return functions;
  return make_error(Errc::unsupported, std::string(kFile) + " is too old: it does not handle zstd");
}

}  // namespace

Result<const LibArchive*> load_libarchive() {
  static const Result<LibArchive> loaded = load();
  if (!loaded) return loaded.error();
  return &*loaded;
}

}  // namespace driverext
