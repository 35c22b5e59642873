#include "userland/libraries.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <optional>
#include <set>

#include "base/text.hpp"
#include "userland/elf_dynamic.hpp"

namespace driverext {
namespace {

bool is_library_name(std::string_view name) {
  const size_t at = name.find(".so");
  return name.starts_with("lib") && at != std::string_view::npos && (at + 3 == name.size() || name[at + 3] == '.');
}

bool begins_as_script(int fd) {
  std::array<std::byte, 2> begin{};
  return read_exactly(fd, begin, 0, "file") && as_text(begin) == "#!";
}

std::string_view folder_of(std::string_view path) { return path.substr(0, path.rfind('/')); }
std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Where a file of a plain folder goes; what is said instead says why it does not.
struct Place {
  std::string_view folder;
  std::string_view why_not;
};

Place place_of(const std::string& name, int fd, mode_t mode, Compat32 compat32) {
  const std::optional<ElfDynamic> elf = read_elf_dynamic(fd);
  const bool runs = (mode & S_IXUSR) != 0;
  if ((mode & (S_ISUID | S_ISGID)) != 0) return {{}, "would run with rights of its own (setuid)"};
  if (is_library_name(name)) {
    if (!elf) return {{}, "not an ELF library"};
    if (elf->is_64_bit) return {kLibraries, {}};
    if (compat32 == Compat32::include) return {kLibraries32, {}};
    return {{}, "32-bit libraries are not wanted"};
  }
  if (runs && ((elf && elf->is_64_bit) || begins_as_script(fd))) return {"usr/bin", {}};
  return {{}, "neither library nor program"};
}

Result<void> place_one(const Dir& folder, const std::string& name, Compat32 compat32, UserlandLayout& layout) {
  TRY(const std::optional<struct stat> status, folder.status(name));
  if (!status || !check_name("file", name)) {
    leave_out(layout, "a name that cannot be used", printable(name));
  } else if (S_ISLNK(status->st_mode)) {
    TRY(const std::optional<std::string> text, folder.read_link(name));
    if (!is_library_name(name) || !text || !check_name("link", *text)) {
      leave_out(layout, "a link to what is left out", name);
    } else {
      layout.links.push_back({std::string(kLibraries) + "/" + name, *text});
    }
  } else if (!S_ISREG(status->st_mode)) {
    leave_out(layout, "not a file: only what lies in the folder itself is taken", name);
  } else {
    TRY(const UniqueFd fd, folder.open_no_follow(name, O_RDONLY));
    const Place place = place_of(name, fd.get(), status->st_mode, compat32);
    if (place.folder.empty()) {
      leave_out(layout, place.why_not, name);
    } else {
      const unsigned mode = (status->st_mode & S_IXUSR) != 0 ? 0755 : 0644;
      layout.files.push_back({name, std::string(place.folder) + "/" + name, mode});
    }
  }
  return {};
}

}  // namespace

Result<UserlandLayout> lay_out_folder(const Dir& folder, Compat32 compat32) {
  TRY(const std::vector<std::string> names, folder.list("."));
  UserlandLayout layout;
  for (const std::string& name : names) TRY_VOID(place_one(folder, name, compat32, layout));
  // Links beside 32-bit libraries lead to those.
  std::set<std::string> narrow;
  for (const PlacedFile& file : layout.files) {
    if (folder_of(file.target) == kLibraries32) narrow.insert(std::string(name_of(file.target)));
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (PlacedLink& link : layout.links) {
      if (folder_of(link.path) == kLibraries32 || !narrow.contains(link.text)) continue;
      const std::string name(name_of(link.path));
      link.path = std::string(kLibraries32) + "/" + name;
      narrow.insert(name);
      changed = true;
    }
  }
  finish_layout(layout);
  if (!layout.files.empty()) return layout;
  return make_error(Errc::invalid_input, folder.path_of(".") +
                                             " holds neither usr/, nor a driver package's .manifest, nor libraries or "
                                             "programs; name the folder that they lie in");
}

Result<std::string> add_library_names(const Dir& from, UserlandLayout& layout) {
  std::set<std::string> there;
  for (const PlacedFile& file : layout.files) there.insert(file.target);
  for (const PlacedLink& link : layout.links) there.insert(link.path);
  std::string machine;
  for (const PlacedFile& file : layout.files) {
    const std::string folder(folder_of(file.target));
    if (folder != kLibraries && folder != kLibraries32) continue;
    Result<UniqueFd> fd = from.open_no_follow(file.source, O_RDONLY);
    if (!fd && fd.error().code == Errc::not_found) continue;  // told of when it is to be placed
    if (!fd) return std::move(fd).error();
    const std::optional<ElfDynamic> elf = read_elf_dynamic(fd->get());
    if (!elf) continue;
    if (elf->is_64_bit != (folder == kLibraries)) {
      return make_error(Errc::invalid_input, file.source + " is not for the word size that it is said to be for");
    }
    if (elf->is_64_bit && machine.empty()) machine = elf->machine;
    if (elf->is_64_bit && machine != elf->machine) {
      return make_error(Errc::invalid_input,
                        file.source + " is for " + elf->machine + ", the libraries before it for " + machine);
    }
    if (elf->soname.empty() || !check_name("SONAME", elf->soname)) continue;
    std::string path = folder + "/" + elf->soname;
    if (there.insert(path).second) layout.links.push_back({std::move(path), std::string(name_of(file.target))});
  }
  finish_layout(layout);
  return machine;
}

}  // namespace driverext
