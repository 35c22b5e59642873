#include "userland/layout.hpp"

#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "userland/file_types.hpp"

namespace driverext {
namespace {

void replace(std::string& text, std::string_view what, std::string_view by) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
}

// Joins what a rule says with what the manifest says: a path without empty components.
std::string destination(const FileTypeRule& rule, const PackagedFile& file, const LayoutRequest& request) {
  std::string folder(rule.folder);
  replace(folder, "{lib}", file.architecture == PackagedArchitecture::compat32 ? kLibraries32 : kLibraries);
  replace(folder, "{driver}", request.driver);
  replace(folder, "{version}", request.version);
  replace(folder, "{folder}", file.folder);
  std::string path;
  for (const std::string& part : split(folder + "/" + file.name(), '/')) {
    if (!part.empty()) path += (path.empty() ? "" : "/") + part;
  }
  return path;
}

bool is_for_an_extension(std::string_view path) {
  return path.starts_with("usr/") && !path.starts_with("usr/lib/modules/") && !path.starts_with("usr/lib/driverext/") &&
         !path.starts_with("usr/lib/extension-release.d/");
}

// Why a file is not taken; empty if it is.
std::string_view reason_against(const FileTypeRule& rule, const PackagedFile& file, const LayoutRequest& request) {
  if (!rule.why_not.empty()) return rule.why_not;
  if (file.superseded) return "an older variant of another file";
  if (file.architecture == PackagedArchitecture::compat32 && request.compat32 == Compat32::leave_out) {
    return "32-bit libraries are not wanted";
  }
  if (class_of(rule, file) > request.wanted) {
    return class_of(rule, file) == UserlandClass::graphics ? "graphics is not wanted" : "not wanted";
  }
  if ((file.mode & 06000U) != 0) return "would run with rights of its own (setuid)";
  if (!is_for_an_extension(destination(rule, file, request))) return "belongs outside of /usr, or to driverext";
  return {};
}

// "usr/lib64/a" + "../b" → "usr/b"; nothing is up from the top.
std::string resolve(std::string_view link, std::string_view text) {
  std::vector<std::string> parts = split(link, '/');
  parts.pop_back();
  for (std::string& part : split(text, '/')) {
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(std::move(part));
    }
  }
  std::string path;
  for (const std::string& part : parts) path += (path.empty() ? "" : "/") + part;
  return path;
}

}  // namespace

Result<UserlandClass> userland_class_of_name(std::string_view name) {
  if (name == "compute") return UserlandClass::compute;
  if (name == "graphics") return UserlandClass::graphics;
  if (name == "all") return UserlandClass::all;
  return make_error(Errc::invalid_input, "there is no class \"" + printable(name) + "\": compute, graphics or all");
}

void leave_out(UserlandLayout& layout, std::string_view why, std::string path) {
  const auto same = [&](const LeftOut& left) { return left.why == why; };
  auto found = std::find_if(layout.left_out.begin(), layout.left_out.end(), same);
  if (found == layout.left_out.end()) {
    layout.left_out.push_back({std::string(why), {}});
    found = layout.left_out.end() - 1;
  }
  found->paths.push_back(std::move(path));
}

void finish_layout(UserlandLayout& layout) {
  std::set<std::string> there;
  for (const PlacedFile& file : layout.files) there.insert(file.target);
  // Again until nothing is added: links lead to links.
  for (bool added = true; added;) {
    added = false;
    for (const PlacedLink& link : layout.links) {
      if (there.contains(resolve(link.path, link.text))) added = there.insert(link.path).second || added;
    }
  }
  std::erase_if(layout.links, [&](const PlacedLink& link) {
    if (there.contains(link.path)) return false;
    leave_out(layout, "a link to what is left out", link.path);
    return true;
  });
  std::sort(layout.files.begin(), layout.files.end(), [](const auto& a, const auto& b) { return a.target < b.target; });
  std::sort(layout.links.begin(), layout.links.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  for (LeftOut& left : layout.left_out) std::sort(left.paths.begin(), left.paths.end());
}

Result<UserlandLayout> lay_out_package(const InstallerManifest& manifest, const LayoutRequest& request) {
  UserlandLayout layout;
  std::map<std::string, std::string> taken;  // place → what is there
  for (const PackagedFile& file : manifest.files) {
    const FileTypeRule* rule = find_file_type(file);
    if (rule == nullptr) {
      leave_out(layout, "of a type that is not known here", file.path);
      continue;
    }
    if (rule->is_module_source) continue;  // told of apart
    if (const std::string_view why = reason_against(*rule, file, request); !why.empty()) {
      leave_out(layout, why, file.path);
      continue;
    }
    const std::string place = destination(*rule, file, request);
    const std::string what = file.is_link() ? std::string(rule->link_prefix) + file.target : file.path;
    const auto [before, is_new] = taken.emplace(place, what);
    if (!is_new && before->second != what) {
      return make_error(Errc::invalid_input,
                        "the package's manifest has both " + before->second + " and " + what + " for " + place);
    }
    if (!is_new) continue;
    if (file.is_link()) {
      layout.links.push_back({place, what});
    } else {
      layout.files.push_back({file.path, place, (file.mode & 0100U) != 0 ? 0755U : 0644U});
    }
  }
  finish_layout(layout);
  if (!layout.files.empty()) return layout;
  return make_error(Errc::invalid_input, "nothing in the package is wanted; name another class of files");
}

}  // namespace driverext
