// The script in front of a self-extracting archive.
#include "userland/self_extracting.hpp"

#include "target.hpp"

namespace driverext::fuzz {
namespace {

void run(std::string_view input) {
  const uint64_t size = input.size() + 1000;
  const auto archive = parse_self_extracting(input.substr(0, kMaxSelfExtractingHead), size);
  if (!archive) return;
  for (const FileRange& range : {archive->payload, archive->summed}) {
    require(range.offset <= size && range.size <= size - range.offset);
  }
  require(archive->payload.offset <= input.size());
}

std::vector<std::string> seeds() {
  return {
      "#! /bin/sh\nCRCsum=12\nMD5=00112233445566778899aabbccddeeff\nskip=9\nlabel=\"Sample\"\nversion_string=1.2\n"
      "TARGET_ARCH=\"x86_64\"\ntail -n +4 $0 | cksum\npayload",
      "#!/bin/sh\nCRCsum=\"12\"\nMD5=\"00112233445566778899aabbccddeeff\"\nSHA=\"" + std::string(64, 'a') +
          "\"\nfilesizes=\"7\"\nskip=\"7\"\nexit\npayload",
      "#!/bin/sh\nfilesizes=\"7\"\nhead -n 4 \"$0\"\nexit\npayload"};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(self_extracting, driverext::fuzz::run, driverext::fuzz::seeds)
