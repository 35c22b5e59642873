#include "cli/managed_node.hpp"

#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "base/text.hpp"
#include "kernel/linux_kernel.hpp"
#include "provisioner/provision_lock.hpp"

namespace driverext::cli {
namespace {

// What has to be done to the images that are here, or where else to look.
std::string why_nothing(const Survey& node, const Choice& next) {
  if (!next.nearest) return "this node has no image of " + node.config.driver + " for " + node.facts.kernel_release;
  const ImageIdentity& image = node.inventory.images[next.nearest->image].identity();
  return image_text(image.version, image.root_hash) + " comes closest, but " + next.nearest->finding.sentence;
}

}  // namespace

Result<Survey> look_at_node(const Dir& root, const NodeOptions& options) {
  const std::unique_ptr<Kernel> kernel = make_linux_kernel(root);
  Survey found;
  TRY_VOID(take_survey({.root = root,
                        .kernel = kernel.get(),
                        .now = static_cast<int64_t>(::time(nullptr)),
                        .kernel_release = options.kernel,
                        .depth = SurveyRequest::Depth::everything},
                       found));
  return found;
}

Result<int> with_locked_node(const NodeOptions& options,
                             const std::function<Result<int>(const Dir& root, const Survey& node)>& act) {
  TRY(const Dir root, Dir::open_root(options.root));
  TRY(const UniqueFd lock, lock_provision(root, "a provision is running; try again when it has ended"));
  TRY(const Survey node, look_at_node(root, options));
  return act(root, node);
}

int refuse_without_root(const NodeOptions& options, const char* what) {
  if (::geteuid() == 0 || options.root != "/") return 0;
  std::fprintf(stderr, "driverext: %s needs root; run it with sudo\n", what);
  return static_cast<int>(ExitCode::not_permitted);
}

std::string image_text(const std::string& version, const std::string& root_hash) {
  return printable(version) + " (" + short_hash(root_hash) + ")";
}

void print_next(const Survey& node, const State& state) {
  const Choice next = choice_at_boot(node, state);
  const std::string& release = node.facts.kernel_release;
  if (!next.image) {
    std::printf("At the next boot into %s no driver is loaded: %s.\n", release.c_str(),
                printable(why_nothing(node, next)).c_str());
    return;
  }
  const ImageIdentity& image = node.inventory.images[*next.image].identity();
  const bool is_good = state.of(release).is_good(image.root_hash);
  std::printf("At the next boot into %s it is %s%s.\n", release.c_str(),
              image_text(image.version, image.root_hash).c_str(), is_good ? ", which was good there before" : "");
  if (!node.facts.is_running) return;
  if (node.running == image.root_hash) {
    std::puts("It runs now.");
  } else {
    std::printf("To have it before that: %ssystemctl restart driverext\n",
                node.running.empty() ? "" : "driverext unload, then ");
  }
}

}  // namespace driverext::cli
