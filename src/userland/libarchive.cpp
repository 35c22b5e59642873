#include "userland/libarchive.hpp"

#include <dlfcn.h>

#include <string>

namespace driverext {
namespace {

// The name of its binary interface since 2012.
constexpr const char* kFile = "libarchive.so.13";

template <class Function>
bool find(void* library, const char* name, Function& into) {
  into = reinterpret_cast<Function>(::dlsym(library, name));
  return into != nullptr;
}

Result<LibArchive> load() {
  void* library = ::dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = ::dlerror();
    return make_error(Errc::unsupported, "archives are unpacked by libarchive, which cannot be loaded (" +
                                             std::string(why != nullptr ? why : kFile) +
                                             "); install it, or unpack the archive elsewhere and name the folder");
  }
  LibArchive functions;
  const bool complete = find(library, "archive_read_new", functions.read_new) &&
                        find(library, "archive_read_free", functions.read_free) &&
                        find(library, "archive_read_support_filter_gzip", functions.support_gzip) &&
                        find(library, "archive_read_support_filter_bzip2", functions.support_bzip2) &&
                        find(library, "archive_read_support_filter_xz", functions.support_xz) &&
                        find(library, "archive_read_support_filter_zstd", functions.support_zstd) &&
                        find(library, "archive_read_support_format_tar", functions.support_tar) &&
                        find(library, "archive_read_open", functions.read_open) &&
                        find(library, "archive_read_next_header", functions.next_header) &&
                        find(library, "archive_read_data_block", functions.data_block) &&
                        find(library, "archive_error_string", functions.error_string) &&
                        find(library, "archive_set_error", functions.set_error) &&
                        find(library, "archive_entry_pathname", functions.pathname) &&
                        find(library, "archive_entry_hardlink", functions.hardlink) &&
                        find(library, "archive_entry_symlink", functions.symlink) &&
                        find(library, "archive_entry_filetype", functions.filetype) &&
                        find(library, "archive_entry_size", functions.size) &&
                        find(library, "archive_entry_mode", functions.mode) &&
                        find(library, "archive_entry_mtime", functions.mtime);
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
