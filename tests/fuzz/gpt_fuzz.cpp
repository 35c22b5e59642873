// Partition tables: as they are, and once more with their checksums made right, so that what lies
// behind the checksums is reached.
#include "sysext/gpt.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

constexpr uint64_t kFileSize = 4 << 20;

void check(ByteSpan head) {
  const auto partitions = parse_gpt(head, kFileSize);
  if (!partitions) return;
  for (const Partition& partition : *partitions) {
    require(partition.size != 0 && partition.offset < kFileSize && partition.size <= kFileSize - partition.offset);
    for (const char c : partition.name) require(c >= 0x20 && c < 0x7f);
    for (const Partition& other : *partitions) {
      require(&other == &partition || other.offset + other.size <= partition.offset ||
              partition.offset + partition.size <= other.offset);
    }
  }
}

void run(std::string_view input) {
  check(as_bytes(input));
  if (input.size() < kGptHeadSize) return;
  const auto view = as_bytes(input).first(kGptHeadSize);
  Bytes head(view.begin(), view.end());
  const auto header = std::span(head).subspan(kSectorSize, 92);
  store_le<uint32_t>(header, 88, crc32(ByteSpan(head).subspan(2 * kSectorSize)));
  store_le<uint32_t>(header, 16, 0);
  store_le<uint32_t>(header, 16, crc32(header));
  check(head);
}

std::vector<std::string> seeds() {
  const Guid type = guid_from_text("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
  const GptBytes gpt = format_gpt({{type, type, kGptFirstUsable, 8192, kPartitionReadOnly, "root"},
                                   {type, type, kGptFirstUsable + 8192, 4096, kPartitionReadOnly, "root-verity"}},
                                  type, kFileSize);
  return {std::string(as_text(gpt.head))};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(gpt, driverext::fuzz::run, driverext::fuzz::seeds)
