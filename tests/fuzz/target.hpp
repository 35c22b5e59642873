// A fuzz target: one parser of bytes from outside, and the seeds that lead into it.
//
// The same source is built twice. With -Dfuzz=true (clang) each target is a libFuzzer program, which writes
// its seeds into the folder that DRIVEREXT_FUZZ_SEEDS names before it starts; else all of them are one replay
// program that runs corpus files and mutated seeds in every test run.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace driverext::fuzz {

struct Target {
  std::string name;
  std::function<void(std::string_view)> run;
  /// Valid inputs, made at run time: no binary file stands in the source tree.
  std::function<std::vector<std::string>()> seeds;
};

/// Ends the program: a parser let something through that it must not.
inline void require(bool holds) {
  if (!holds) std::abort();
}

std::vector<Target>& targets();

struct Registration {
  explicit Registration(Target target) { targets().push_back(std::move(target)); }
};

inline void write_seeds(const std::vector<std::string>& seeds) {
  const char* folder = std::getenv("DRIVEREXT_FUZZ_SEEDS");
  if (folder == nullptr) return;
  for (size_t i = 0; i < seeds.size(); ++i) {
    std::ofstream(std::string(folder) + "/seed-" + std::to_string(i), std::ios::binary) << seeds[i];
  }
}

}  // namespace driverext::fuzz

#ifdef DRIVEREXT_LIBFUZZER
#define FUZZ_TARGET(name, run, seeds)                                       \
  extern "C" int LLVMFuzzerInitialize(int*, char***) {                      \
    ::driverext::fuzz::write_seeds(seeds());                                \
    return 0;                                                               \
  }                                                                         \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { \
    run(std::string_view(reinterpret_cast<const char*>(data), size));       \
    return 0;                                                               \
  }
#else
#define FUZZ_TARGET(name, run, seeds) \
  static const ::driverext::fuzz::Registration name##_registration({#name, run, seeds});
#endif
