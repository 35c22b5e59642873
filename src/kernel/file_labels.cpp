#include "kernel/file_labels.hpp"

#include <sys/stat.h>

#include <cerrno>

#include "sys/shared_library.hpp"

namespace driverext {
namespace {

constexpr const char* kLibrary = "libselinux.so.1";
/// There if a policy is loaded.
constexpr const char* kPolicy = "sys/fs/selinux/policy";
constexpr unsigned kFileContexts = 0;  // SELABEL_CTX_FILE

// As selinux/label.h declares them; the library's binary interface is fixed by its soname.
using Open = void* (*)(unsigned backend, const void* options, unsigned count);
using Lookup = int (*)(void* handle, char** context, const char* key, int type);
using Close = void (*)(void* handle);
using Free = void (*)(char* context);

}  // namespace

struct FileLabels::Policy {
  Lookup lookup = nullptr;
  Free free = nullptr;
  std::unique_ptr<void, Close> handle{nullptr, nullptr};
};

FileLabels::FileLabels(const Dir& root) {
  const auto loaded = root.status(kPolicy);
  if (!loaded || !*loaded) return;
  const Result<SharedLibrary> library = SharedLibrary::load(kLibrary);
  if (!library) return;
  auto policy = std::make_shared<Policy>();
  Open open = nullptr;
  Close close_handle = nullptr;
  const bool complete = library->find("selabel_open", open) && library->find("selabel_lookup_raw", policy->lookup) &&
                        library->find("selabel_close", close_handle) && library->find("freecon", policy->free);
  if (!complete) return;
  policy->handle = {open(kFileContexts, nullptr, 0), close_handle};
  if (policy->handle) policy_ = std::move(policy);
}

Result<std::optional<std::string>> FileLabels::label_for(const std::string& path) const {
  if (!policy_) return std::optional<std::string>();
  char* context = nullptr;
  if (policy_->lookup(policy_->handle.get(), &context, path.c_str(), S_IFCHR) != 0) {
    if (errno == ENOENT) return std::optional<std::string>();
    return os_failure(errno, "cannot look up the SELinux label of " + path);
  }
  const std::unique_ptr<char, Free> owned(context, policy_->free);
  return std::optional(std::string(context));
}

}  // namespace driverext
