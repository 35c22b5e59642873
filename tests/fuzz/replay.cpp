// Runs one fuzz target over every file of its corpus directory, and over its seeds, mutated in a
// fixed way: cut at every length, and every byte changed in turn.
//
//   replay TARGET CORPUS
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "target.hpp"

namespace driverext::fuzz {

std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

namespace {

namespace fs = std::filesystem;

// Enough for every structure that is parsed (a partition table's header and first three entries); what
// lies behind is padding or payload.
constexpr size_t kMutated = 1408;

std::vector<std::string> corpus_files(const fs::path& folder) {
  std::vector<std::string> contents;
  if (!fs::is_directory(folder)) return contents;
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    contents.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return contents;
}

size_t run_mutations(const Target& target, const std::string& seed) {
  size_t runs = 0;
  const auto run = [&](const std::string& input) {
    target.run(input);
    ++runs;
  };
  run(seed);
  const size_t size = std::min(seed.size(), kMutated);
  for (size_t length = 0; length < size; ++length) run(seed.substr(0, length));
  run(seed.substr(0, seed.size() - std::min<size_t>(seed.size(), 1)));
  run(seed + seed);
  run(seed + '\0');
  std::string changed = seed;
  for (size_t i = 0; i < size; ++i) {
    const char before = changed[i];
    for (const int value : {before ^ 0x01, before ^ 0x80, 0x00, 0xff, static_cast<int>('"')}) {
      changed[i] = static_cast<char>(value);
      run(changed);
    }
    changed[i] = before;
  }
  // Eight bytes of ones in a row: the largest number in every field of every size.
  for (size_t i = 0; i + 8 <= size; i += 4) {
    std::string huge = seed;
    huge.replace(i, 8, 8, '\xff');
    run(huge);
  }
  return runs;
}

int replay(const Target& target, const char* folder) {
  std::vector<std::string> inputs = corpus_files(folder);
  const std::vector<std::string> seeds = target.seeds();
  inputs.insert(inputs.end(), seeds.begin(), seeds.end());
  size_t runs = 0;
  for (const std::string& input : inputs) runs += run_mutations(target, input);
  std::printf("%s: %zu inputs, %zu runs\n", target.name.c_str(), inputs.size(), runs);
  return inputs.empty() ? 1 : 0;
}

}  // namespace
}  // namespace driverext::fuzz

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("Usage: replay TARGET CORPUS\n", stderr);
    return 2;
  }
  for (const auto& target : driverext::fuzz::targets()) {
    if (target.name == argv[1]) return driverext::fuzz::replay(target, argv[2]);
  }
  std::fprintf(stderr, "There is no target %s\n", argv[1]);
  return 2;
}
