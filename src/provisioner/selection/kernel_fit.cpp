// Whether this kernel takes the modules of an image: what its loader compares, compared beforehand.
//
// Source: kernel/module/version.c (check_version, same_magic) and kernel/module/signing.c.
#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "driver/module_plan.hpp"
#include "provisioner/selection/requirement.hpp"

namespace driverext {
namespace {

constexpr size_t kNamed = 3;  // so many symbols are named in a sentence

using Names = std::set<std::string>;

std::string flags_of(const std::string& vermagic) {
  const size_t blank = vermagic.find(' ');
  return blank == std::string::npos ? std::string() : std::string(trim(vermagic.substr(blank)));
}

Finding judge_vermagic(const SelectionInput& input, const ImageIdentity& image, const Manifest& manifest) {
  constexpr auto kWhat = Requirement::vermagic;
  const std::string& host = input.facts.kernel.vermagic;
  if (host.empty()) {
    const std::string why = "the host does not tell its kernel's vermagic";
    if (is_exact(input.facts, image)) return {kWhat, Verdict::untold, Reason::provisioned, why};
    return {kWhat, Verdict::unmet, Reason::fit_unknown, why + ", so whether this kernel takes it cannot be known"};
  }
  const std::string ours = flags_of(manifest.vermagic);
  const std::string theirs = flags_of(host);
  if (ours == theirs) return {kWhat, Verdict::met, Reason::provisioned, "both are \"" + theirs + "\""};
  return {kWhat, Verdict::unmet, Reason::vermagic_mismatch,
          "its modules are \"" + ours + "\", this kernel is \"" + theirs + "\""};
}

std::string some_of(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < std::min(names.size(), kNamed); ++i) text += (text.empty() ? "" : ", ") + names[i];
  return names.size() > kNamed ? text + " and " + std::to_string(names.size() - kNamed) + " more" : text;
}

struct SymbolCount {
  size_t imported = 0;
  std::vector<std::string> missing;    ///< exported by nobody that is known
  std::vector<std::string> different;  ///< of another type here
  std::vector<std::string> unclear;    ///< perhaps exported by a module of the image, which does not tell
};

// include/linux/license.h: to others the kernel shows no symbol that is exported to GPL modules only.
bool is_gpl_compatible(const std::string& license) {
  static const std::set<std::string_view> kCompatible = {"GPL",          "GPL v2",       "GPL and additional rights",
                                                         "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"};
  return kCompatible.contains(license);
}

// "drivers/media/v4l2-core/videodev" → "videodev"
std::string exporter(std::string_view module) {
  return module_name_form(module.substr(module.rfind('/') == std::string_view::npos ? 0 : module.rfind('/') + 1));
}

bool depends_on(const ModuleRecord& record, const std::string& name) {
  return std::find(record.depends.begin(), record.depends.end(), name) != record.depends.end();
}

// Symbols that one module of the image takes from another were built together, and so fit. Beside its type the kernel
// looks who may use a symbol, and it is there only if the module that exports it was loaded before.
SymbolCount compare_symbols(const SymbolVersions& host, const Manifest& manifest, const Names& needed, bool exact) {
  std::set<std::string_view> own;
  std::set<std::string_view> names;
  for (const ModuleRecord& record : manifest.modules) {
    own.insert(record.exports.begin(), record.exports.end());
    names.insert(record.name);
  }
  SymbolCount count;
  for (const ModuleRecord& record : manifest.modules) {
    if (!needed.contains(record.name)) continue;
    const bool needs_untold_sibling =
        own.empty() && std::any_of(record.depends.begin(), record.depends.end(),
                                   [&](const std::string& name) { return names.contains(name); });
    // A driver of another maker on this host is in no list of the kernel's.
    const bool needs_host = std::any_of(record.depends.begin(), record.depends.end(),
                                        [&](const std::string& name) { return !names.contains(name); });
    for (const auto& [symbol, crc] : record.imports) {
      ++count.imported;
      if (own.contains(symbol)) continue;
      const std::optional<ExportedSymbol> found = host.find_export(symbol);
      if (!found) {
        (needs_untold_sibling || (exact && needs_host) ? count.unclear : count.missing).push_back(symbol);
      } else if (found->crc != crc) {
        count.different.push_back(symbol);
      } else if (exact) {
        continue;  // built against this very kernel, it was linked so
      } else if (found->kind.ends_with("_GPL") && !is_gpl_compatible(record.license)) {
        count.missing.push_back(symbol + " (for GPL modules only)");
      } else if (found->module != "vmlinux" && !depends_on(record, exporter(found->module))) {
        count.missing.push_back(symbol + " (in " + exporter(found->module) + ")");
      } else if (!found->symbol_namespace.empty()) {
        count.unclear.push_back(symbol);  // manifests do not tell which namespaces a module imports
      }
    }
  }
  return count;
}

Finding judge_symbols(const SelectionInput& input, const ImageIdentity& image, const Manifest& manifest,
                      const Names& needed) {
  constexpr auto kWhat = Requirement::symbols;
  const bool exact = is_exact(input.facts, image);
  // An image for another kernel is taken only where it is known that the kernel takes it.
  const auto cannot_tell = [&](const std::string& why) -> Finding {
    if (exact) return {kWhat, Verdict::untold, Reason::provisioned, why};
    return {kWhat, Verdict::unmet, Reason::fit_unknown, why + ", so whether this kernel takes it cannot be known"};
  };
  const SymbolVersions* host = input.facts.kernel.symbols.get();
  if (host == nullptr) return cannot_tell("the host does not tell which symbols its kernel exports");
  // The kernel refuses such a module without a look at its symbols where it has versions itself.
  const auto bare = std::find_if(manifest.modules.begin(), manifest.modules.end(), [&](const ModuleRecord& record) {
    return needed.contains(record.name) && record.imports.empty();
  });
  if (bare != manifest.modules.end()) return cannot_tell("module " + bare->name + " carries no symbol versions");
  const SymbolCount count = compare_symbols(*host, manifest, needed, exact);
  const std::string of_how_many = " of " + std::to_string(count.imported);
  if (!count.different.empty()) {
    return {kWhat, Verdict::unmet, Reason::symbol_mismatch,
            std::to_string(count.different.size()) + of_how_many +
                " symbols have another type in this kernel: " + some_of(count.different)};
  }
  if (!count.missing.empty()) {
    return {kWhat, Verdict::unmet, Reason::symbol_missing,
            std::to_string(count.missing.size()) + of_how_many +
                " symbols are not in this kernel: " + some_of(count.missing)};
  }
  if (!count.unclear.empty()) {
    return cannot_tell("it is not told whether its modules may use " + some_of(count.unclear));
  }
  return {kWhat, Verdict::met, Reason::provisioned,
          "all " + std::to_string(count.imported) + " imported symbols have the same type in " + host->source()};
}

Finding judge_dependencies(const SelectionInput& input, const Manifest& manifest, const Names& needed_modules) {
  constexpr auto kWhat = Requirement::dependencies;
  const KernelFacts& kernel = input.facts.kernel;
  if (!kernel.modules_are_known) {
    return {kWhat, Verdict::untold, Reason::provisioned, "the host's modules cannot be listed"};
  }
  const auto has = [](const std::vector<std::string>& sorted, const std::string& name) {
    return std::binary_search(sorted.begin(), sorted.end(), name);
  };
  std::set<std::string> missing;
  size_t needed = 0;
  for (const ModuleRecord& record : manifest.modules) {
    if (!needed_modules.contains(record.name)) continue;
    for (const std::string& name : record.depends) {
      const bool own = std::any_of(manifest.modules.begin(), manifest.modules.end(),
                                   [&](const ModuleRecord& other) { return other.name == name; });
      if (own) continue;
      ++needed;
      if (!has(kernel.modules, name) && !has(kernel.builtin, name)) missing.insert(name);
    }
  }
  if (missing.empty()) {
    return {kWhat, Verdict::met, Reason::provisioned,
            needed == 0 ? "its modules need none of the host's" : "the host has the modules that they need"};
  }
  return {kWhat, Verdict::unmet, Reason::dependency_missing,
          "the host does not have " + some_of({missing.begin(), missing.end()})};
}

// "1A:5A:58", as modinfo(8) writes it, and "1a5a58", as the keyring does.
std::string plain_id(const std::string& id) {
  std::string plain;
  for (const char c : id) {
    if (c != ':') plain += static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);
  }
  return plain;
}

Finding judge_module_signature(const SelectionInput& input, const Manifest& manifest, const Names& needed) {
  constexpr auto kWhat = Requirement::module_signature;
  const ModuleTrust& trust = input.facts.module_trust;
  if (!input.facts.is_running) {
    return {kWhat, Verdict::untold, Reason::provisioned, "what another kernel will want shows when it runs"};
  }
  if (!trust.wants_signatures()) {
    if (!trust.enforced)
      return {kWhat, Verdict::untold, Reason::provisioned, "whether signatures are enforced is not told"};
    return {kWhat, Verdict::met, Reason::provisioned, "this kernel takes unsigned modules"};
  }
  const std::string why = trust.enforced.value_or(false) ? "module.sig_enforce is on" : "lockdown is " + trust.lockdown;
  for (const ModuleRecord& record : manifest.modules) {
    if (!needed.contains(record.name)) continue;
    if (record.signature_key_id.empty()) {
      return {kWhat, Verdict::unmet, Reason::module_key_unknown,
              why + ", and module " + record.name + " is not signed for the kernel"};
    }
    const std::string id = plain_id(record.signature_key_id);
    const bool known =
        std::any_of(trust.keys.begin(), trust.keys.end(), [&](const KernelKey& key) { return key.id == id; });
    // A signature can name its certificate by serial number; the keyring shows key identifiers only.
    const bool may_be_known = !trust.keys_are_known || id.size() != 40;
    if (!known && may_be_known) {
      return {kWhat, Verdict::untold, Reason::provisioned,
              why + "; whether the kernel knows key " + record.signature_key_id + " cannot be told"};
    }
    if (!known) {
      return {kWhat, Verdict::unmet, Reason::module_key_unknown,
              why + ", and key " + record.signature_key_id + " of module " + record.name +
                  " is in none of the kernel's keyrings"};
    }
  }
  return {kWhat, Verdict::met, Reason::provisioned, why + ", and the kernel knows the key of its modules"};
}

}  // namespace

void judge_modules(const SelectionInput& input, const ImageIdentity& image, const Manifest& manifest,
                   std::vector<Finding>& findings) {
  findings.push_back(judge_vermagic(input, image, manifest));
  // A module that the driver does without speaks against no image: where the kernel does not take it, it is left out.
  const Names needed = must_modules(input.definition, manifest.modules);
  findings.push_back(judge_symbols(input, image, manifest, needed));
  findings.push_back(judge_dependencies(input, manifest, needed));
  findings.push_back(judge_module_signature(input, manifest, needed));
}

}  // namespace driverext
