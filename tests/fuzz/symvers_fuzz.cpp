// Lists of the symbols that a kernel exports.
#include "host/symbol_versions.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const auto versions = SymbolVersions::parse(std::string(input), "list");
  if (!versions) return require(versions.error().code == Errc::invalid_input);
  require(versions->size() != 0 && input.ends_with('\n'));
  // Whatever passed as a line is found again, with what that line says.
  for (size_t begin = 0; begin < input.size(); begin = input.find('\n', begin) + 1) {
    const size_t name = begin + 11;
    const size_t end = input.find('\t', name);
    require(end != std::string_view::npos);
    const auto crc = versions->find(input.substr(name, end - name));
    require(crc && *crc == std::strtoul(std::string(input.substr(begin, 10)).c_str(), nullptr, 16));
  }
}

std::vector<std::string> seeds() {
  return {
      "0x037a0cba\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n"
      "0xa39f6c12\tdma_buf_export\tvmlinux\tEXPORT_SYMBOL_GPL\tDMA_BUF\n"
      "0x00000000\told\tdrivers/x/y\tEXPORT_SYMBOL_GPL\n",
      "0x00000001\ta\tvmlinux\tEXPORT_SYMBOL\t\n0x00000002\ta\tvmlinux\tEXPORT_SYMBOL\t\n"};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(symvers, driverext::fuzz::run, driverext::fuzz::seeds)
