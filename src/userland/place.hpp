// Making a tree from a layout, and looking at one that somebody else made.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "sys/dir.hpp"
#include "userland/layout.hpp"
#include "userland/work.hpp"

namespace driverext {

/// Whose files a layout takes: those in scratch are moved, all others copied.
enum class TakenFrom { scratch, elsewhere };

struct Placing {
  const Dir& scratch;
  const Dir& from;  ///< the folder kScratchPackage in scratch, or one elsewhere
  TakenFrom taken_from;
};

/// Puts the files and links of a layout into the empty folder kScratchTree in scratch. Files keep their times.
/// Errors: Errc::invalid_input for a file that is not there.
Result<void> place_layout(const Placing& placing, const UserlandLayout& layout, const UserlandWork& work);

/// Where inside of scratch things are.
constexpr std::string_view kScratchPackage = "package";
constexpr std::string_view kScratchTree = "tree";

struct TreeSize {
  uint64_t files = 0;
  uint64_t bytes = 0;
};

/// An extension's tree: usr/ and nothing else at its top, files, folders and links, no kernel modules, nothing setuid.
/// Errors: Errc::invalid_input.
Result<TreeSize> check_userland_tree(const std::string& tree);

}  // namespace driverext
