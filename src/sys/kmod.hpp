// Owners for libkmod's objects, for the few files that use it.
#pragma once

#include <libkmod.h>

#include <memory>
#include <string>

#include "base/result.hpp"

namespace driverext::kmod {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

using Context = std::unique_ptr<kmod_ctx, Deleter<kmod_unref>>;
using Module = std::unique_ptr<kmod_module, Deleter<kmod_module_unref>>;
using ModuleList = std::unique_ptr<kmod_list, Deleter<kmod_module_unref_list>>;
using InfoList = std::unique_ptr<kmod_list, Deleter<kmod_module_info_free_list>>;

/// A context over a folder of modules; null for the running kernel's. Without modprobe.d: what is loaded and how is
/// decided elsewhere. Prints nothing: errors come back as numbers.
Result<Context> open(const char* folder);

/// The module in a file, by an ordinary path.
Result<Module> module_of_file(const Context& context, const std::string& path);

}  // namespace driverext::kmod
