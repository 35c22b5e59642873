// What list, pin, rollback, retry and prune have in common: the node that they are about, and words for it.
#pragma once

#include <functional>
#include <string>

#include "provisioner/management.hpp"

namespace driverext::cli {

struct NodeOptions {
  std::string root = "/";
  std::string kernel;  ///< release; empty: the running one
};

/// The node as it is, seen from the kernel that was asked about. `root` outlives what is returned.
Result<Survey> look_at_node(const Dir& root, const NodeOptions& options);
/// Looks at the node with provisions kept out, so that what is decided on is what is written. Errors: Errc::transient
/// if one runs; those of take_survey.
Result<int> with_locked_node(const NodeOptions& options,
                             const std::function<Result<int>(const Dir& root, const Survey& node)>& act);

/// Exit code for somebody who may not change this node, said to them; 0 if they may, as far as can be told.
int refuse_without_root(const NodeOptions& options, const char* what);

/// "2.0 (0123456789ab)"
std::string image_text(const std::string& version, const std::string& root_hash);
/// Prints what a boot would use, were this remembered, and how to have it at once.
void print_next(const Survey& node, const State& state);

}  // namespace driverext::cli
