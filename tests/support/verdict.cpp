#include "verdict.hpp"

#include <cstdlib>
#include <fstream>

namespace driverext::test {
namespace {

const char* code_name(Errc code) {
  switch (code) {
    case Errc::invalid_input:
      return "invalid_input";
    case Errc::untrusted:
      return "untrusted";
    case Errc::incompatible:
      return "incompatible";
    case Errc::not_found:
      return "not_found";
    case Errc::conflict:
      return "conflict";
    case Errc::unsupported:
      return "unsupported";
    case Errc::transient:
      return "transient";
    case Errc::system:
      return "system";
    case Errc::internal:
      return "internal";
  }
  return "?";
}

}  // namespace

void reached(Reason reason) {
  // One file for each reason, so that test programs need not wait for each other.
  const char* folder = std::getenv("DRIVEREXT_REACHED_REASONS");
  if (folder != nullptr) std::ofstream(std::string(folder) + "/" + std::string(reason_info(reason).code));
}

std::string verdict(const Error& error) {
  reached(reason_of(error));
  std::string text = code_name(error.code);
  if (error.reason) text += "/" + std::string(reason_info(*error.reason).code);
  return text;
}

}  // namespace driverext::test
