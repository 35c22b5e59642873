#include "kbuild/dkms_shell.hpp"

#include <fcntl.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "sys/dir.hpp"

namespace driverext {
namespace {

constexpr unsigned kTimeoutSec = 60;
constexpr std::string_view kEnd = "end";

// In the order of the arguments after the reply's and the tree's place: kernelver, kernel_source_dir, arch, dkms_tree,
// source_tree; then the names whose values are wanted. What the file prints goes to the log.
constexpr const char* kScript =
    R"(reply=$1 tree=$2 kernelver=$3 kernel_source_dir=$4 arch=$5 dkms_tree=$6 source_tree=$7
shift 7
cd "$tree" || exit
# What $module is stands in the file itself.
module=$(. ./dkms.conf >/dev/null 2>&1; printf %s "$PACKAGE_NAME")
module_version=$(. ./dkms.conf >/dev/null 2>&1; printf %s "$PACKAGE_VERSION")
# Where dkms has the tree. What stands there already the file has put there itself.
driverext_home=$dkms_tree/$module/$module_version
mkdir "$dkms_tree/$module" && mkdir "$driverext_home" &&
  ln -s "$tree" "$driverext_home/source" && ln -s "$tree" "$driverext_home/build"
mkdir "$source_tree" && ln -s "$tree" "$source_tree/$module-$module_version"
driverext_reply=$reply
driverext_names=("$@")
readonly driverext_reply driverext_names
set --
. ./dkms.conf
for driverext_name in "${driverext_names[@]}"; do
  declare -n driverext_array=$driverext_name
  for driverext_index in "${!driverext_array[@]}"; do
    printf '%s\0%s\0%s\0' "$driverext_name" "$driverext_index" "${driverext_array[$driverext_index]}"
  done
done >"$driverext_reply" && printf 'end\0' >>"$driverext_reply"
)";

Error no_answer(const std::string& why) {
  return make_error(Errc::invalid_input, "what a shell makes of dkms.conf cannot be read: " + why);
}

}  // namespace

Result<ShellArrays> evaluate_dkms_conf(Programs& programs, const Builder& builder, const DkmsShellRequest& request) {
  const std::string place = builder.place_of(request.shared);
  const DkmsVariables& variables = request.variables;
  BuilderRun run;
  run.argv = {"bash",
              "--noprofile",
              "--norc",
              "-c",
              kScript,
              "dkms.conf",
              place + "/" + request.reply,
              place + "/" + request.tree,
              variables.kernel_release,
              variables.kernel_source_dir,
              variables.arch,
              variables.dkms_tree,
              variables.source_tree};
  const std::vector<std::string>& names = dkms_setting_names();
  run.argv.insert(run.argv.end(), names.begin(), names.end());
  run.shared = request.shared;
  run.timeout_sec = kTimeoutSec;
  run.cancel_fd = request.cancel_fd;
  TRY(const Dir shared, Dir::open_root(request.shared));
  TRY_VOID(builder.run(programs, run).with_context("dkms.conf in a shell of " + builder.name()));
  const Result<UniqueFd> fd = shared.open_no_follow(request.reply, O_RDONLY | O_NONBLOCK);
  if (!fd) return no_answer("it ended without an answer");
  TRY(const std::string reply, read_fd(fd->get(), 2 * kMaxShellTotal, "the shell's answer"));
  return parse_shell_reply(reply);
}

Result<ShellArrays> parse_shell_reply(std::string_view reply) {
  const std::vector<std::string>& names = dkms_setting_names();
  std::vector<std::string> fields = split(reply, '\0');
  // Behind the last zero byte there is nothing.
  if (fields.size() < 2 || !fields.back().empty() || fields[fields.size() - 2] != kEnd)
    return no_answer("it has no end");
  fields.resize(fields.size() - 2);
  if (fields.size() % 3 != 0 || fields.size() / 3 > kMaxShellAssignments) return no_answer("it is no list of values");
  ShellArrays values;
  size_t total = 0;
  for (size_t i = 0; i < fields.size(); i += 3) {
    const std::string& digits = fields[i + 1];
    unsigned index = 0;
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (std::find(names.begin(), names.end(), fields[i]) == names.end()) return no_answer("it has another name");
    if (code != std::errc() || end != digits.data() + digits.size() || index > kMaxShellIndex) {
      return no_answer("the index \"" + digits.substr(0, 20) + "\" of " + fields[i]);
    }
    total += fields[i + 2].size();
    if (fields[i + 2].size() > kMaxShellValue || total > kMaxShellTotal) return no_answer("it is too long");
    if (!values[fields[i]].emplace(index, std::move(fields[i + 2])).second)
      return no_answer(fields[i] + " comes twice");
  }
  return values;
}

}  // namespace driverext
