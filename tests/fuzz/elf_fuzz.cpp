// Build ids of ELF files.
#include "modules/module_file.hpp"
#include "support/tiny_elf.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const auto id = elf_build_id(input);
  if (id) require(id->size() <= 2 * input.size() && id->size() % 2 == 0);
}

std::vector<std::string> seeds() { return {test::tiny_elf("0123456789"), test::tiny_elf("ab", {.notes_before = 2})}; }

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(elf, driverext::fuzz::run, driverext::fuzz::seeds)
