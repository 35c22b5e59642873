#include "acquire/pack_modules.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <new>
#include <thread>

#include "crypto/digest.hpp"
#include "modules/load_order.hpp"
#include "modules/module_file.hpp"
#include "modules/module_signature.hpp"
#include "sys/dir.hpp"
#include "sysext/architecture.hpp"
#include "sysext/manifest_member.hpp"

namespace driverext {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kEndings = {".ko", ".ko.xz", ".ko.zst", ".ko.gz"};

struct PackedModule {
  ModuleRecord record;  ///< without its path
  ImageContent file;    ///< the same
  std::string vermagic;
  std::string kernel_release;
  std::string machine;
  std::vector<std::string> compilers;
};

// "x.ko" of "x.ko.xz"; empty if it is no module's name.
std::string plain_name(const fs::path& file) {
  const std::string name = file.filename().string();
  for (const std::string_view ending : kEndings) {
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size()) + ".ko";
  }
  return {};
}

Result<std::vector<fs::path>> module_files(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (!plain_name(it->path()).empty()) files.push_back(it->path());
  }
  if (error) return os_failure(error.value(), "cannot list " + folder);
  if (files.empty()) return make_error(Errc::not_found, "there is no *.ko[.xz|.zst|.gz] file in " + folder);
  // By the plain name: compressed or not, the same modules make the same image.
  std::sort(files.begin(), files.end(),
            [](const fs::path& one, const fs::path& other) { return plain_name(one) < plain_name(other); });
  const auto same = std::adjacent_find(files.begin(), files.end(), [](const fs::path& one, const fs::path& other) {
    return plain_name(one) == plain_name(other);
  });
  if (same == files.end()) return files;
  return make_error(Errc::invalid_input, same->string() + " and " + std::next(same)->filename().string() +
                                             " would both become " + plain_name(*same) + "; leave one of them out");
}

// Each may hold kMaxDecompressed and its copy at a time.
constexpr size_t kMaxWorkers = 8;

// On several processors: nearly all of the time goes into decompressing.
void for_each_index(size_t count, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  const auto worker = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::jthread> helpers;
  const size_t processors = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kMaxWorkers);
  for (size_t i = 1; i < std::min(processors, count); ++i) helpers.emplace_back(worker);
  worker();
}

// Lists that mean something to the kernel are not cut: one entry that is too long for a manifest is its error.
std::vector<std::string> manifest_texts(const std::vector<std::string>& texts) {
  std::vector<std::string> safe;
  safe.reserve(texts.size());
  for (const std::string& text : texts) safe.push_back(manifest_text(text));
  return safe;
}

ModuleRecord record_of(const ModuleInfo& info) {
  ModuleRecord record;
  record.name = info.name;
  record.build_id = info.build_id;
  record.depends = info.depends;
  record.version = manifest_text(info.version, kMaxText);
  record.srcversion = manifest_text(info.srcversion, kMaxText);
  record.license = manifest_text(info.license, kMaxText);
  record.softdeps_pre = manifest_texts(info.softdeps_pre);
  record.softdeps_post = manifest_texts(info.softdeps_post);
  record.aliases = manifest_texts(info.aliases);
  record.firmware = manifest_texts(info.firmware);
  for (const ModuleParameter& parameter : info.parameters) {
    record.parameters.push_back({manifest_text(parameter.name, kMaxText), manifest_text(parameter.type, kMaxText),
                                 manifest_text(parameter.description, kMaxLongText)});
  }
  return record;
}

Result<PackedModule> pack_module(const std::string& file, const std::string& scratch) {
  TRY(const PlainModule module, load_module_file(file));
  const ByteSpan bytes = module.content.span();
  TRY(const ElfFile elf, ElfFile::of_bytes(bytes).with_context(file));
  TRY(ModuleInfo info, read_module_info(elf).with_context(file));
  if (info.build_id.empty()) {
    return make_error(Errc::invalid_input, file +
                                               " has no build id, by which it is known once it is loaded; "
                                               "link it with --build-id (Kbuild does)");
  }
  PackedModule packed;
  packed.record = record_of(info);
  packed.record.size = bytes.size();
  packed.record.sha256 = to_hex(sha256(bytes));
  TRY(packed.record.imports, read_imports(elf).with_context(file));
  TRY(packed.record.exports, read_exports(elf).with_context(file));
  TRY(const auto signature, read_module_signature(bytes).with_context(file));
  if (signature) packed.record.signature_key_id = manifest_text(signature->key_id, kMaxText);
  packed.kernel_release = info.kernel_release();
  packed.vermagic = std::move(info.vermagic);
  packed.machine = std::move(info.machine);
  packed.compilers = manifest_texts(info.toolchain);
  packed.file.source = file;
  if (module.compression != Compression::none) {
    packed.file.source = scratch + "/" + plain_name(file);
    const UniqueFd fd(::open(packed.file.source.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) return os_failure(errno, "cannot create " + packed.file.source);
    TRY_VOID(write_exactly(fd.get(), bytes, 0, packed.file.source));
  }
  return packed;
}

// Adds one that was read to those before it, which are for the same kernel.
Result<void> add(PackedModule module, const fs::path& file, const std::string& driver, PackedModules& all) {
  const Architecture* architecture = architecture_of_machine(module.machine);
  if (architecture == nullptr) return make_error(Errc::unsupported, file.string() + " is for " + module.machine);
  if (all.records.empty()) {
    all.vermagic = module.vermagic;
    all.kernel_release = module.kernel_release;
    all.architecture = architecture->name;
    all.license = module.record.license;
  }
  if (module.vermagic != all.vermagic || architecture->name != all.architecture) {
    return make_error(Errc::invalid_input, file.string() + " is for \"" + module.vermagic +
                                               "\", the modules before it for \"" + all.vermagic +
                                               "\"; an image holds modules for one kernel");
  }
  module.record.path = "usr/lib/modules/" + all.kernel_release + "/driverext/" + driver + "/" + plain_name(file);
  module.file.path_in_image = module.record.path;
  all.records.push_back(std::move(module.record));
  all.files.push_back(std::move(module.file));
  return {};
}

std::string toolchain_of(const std::vector<PackedModule>& modules) {
  std::vector<std::string> words;
  for (const PackedModule& module : modules)
    words.insert(words.end(), module.compilers.begin(), module.compilers.end());
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  std::string text;
  for (const std::string& compiler : words) text += (text.empty() ? "" : "; ") + compiler;
  return manifest_text(text, kMaxLongText);
}

}  // namespace

Result<PackedModules> pack_modules(const std::string& folder, const std::string& driver, const std::string& output) {
  TRY(const std::vector<fs::path> files, module_files(folder));
  PackedModules all;
  TRY(all.scratch, ScratchFolder::beside(output));
  std::vector<std::optional<Result<PackedModule>>> read(files.size());
  for_each_index(files.size(), [&](size_t i) {
    try {
      read[i] = pack_module(files[i].string(), all.scratch->path());
    } catch (const std::bad_alloc&) {  // a thread that ends in an exception ends the program, with nothing tidied up
      read[i] = os_failure(ENOMEM, "cannot read " + files[i].string());
    }
  });

  std::vector<PackedModule> modules;
  for (std::optional<Result<PackedModule>>& each : read) {
    TRY(PackedModule module, *std::move(each));
    modules.push_back(std::move(module));
  }
  all.toolchain = toolchain_of(modules);
  for (size_t i = 0; i < files.size(); ++i) TRY_VOID(add(std::move(modules[i]), files[i], driver, all));
  std::vector<ModuleNode> nodes;
  for (const ModuleRecord& record : all.records) nodes.push_back({record.name, record.depends});
  TRY(const LoadOrder order, order_modules(nodes));  // a circle is better found here than at boot
  (void)order;
  return all;
}

}  // namespace driverext
