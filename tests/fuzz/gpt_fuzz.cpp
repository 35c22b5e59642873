// Partition tables: as they are, and once more with checksums and backup made right, so that what lies
// behind those is reached.
#include <algorithm>

#include "sysext/gpt.hpp"
#include "target.hpp"

namespace driverext::fuzz {
namespace {

constexpr uint64_t kFileSize = 4 << 20;

void check(ByteSpan head, ByteSpan tail) {
  const auto partitions = parse_gpt(head, tail, kFileSize);
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

void sign(std::span<std::byte> header, ByteSpan entries) {
  store_le<uint32_t>(header, 88, crc32(entries));
  store_le<uint32_t>(header, 16, 0);
  store_le<uint32_t>(header, 16, crc32(header));
}

// First table and backup, one behind the other.
void run(std::string_view input) {
  const ByteSpan bytes = as_bytes(input);
  const size_t split = std::min<size_t>(bytes.size(), kGptHeadSize);
  check(bytes.first(split), bytes.subspan(split));
  if (bytes.size() < kGptHeadSize) return;
  Bytes head(bytes.begin(), bytes.begin() + kGptHeadSize);
  const ByteSpan entries = ByteSpan(head).subspan(2 * kSectorSize);
  const auto header = std::span(head).subspan(kSectorSize, 92);
  sign(header, entries);
  // The backup that goes with it: what the mutation did to the first is then all that can be wrong.
  Bytes tail(entries.begin(), entries.end());
  tail.resize(kGptBackupSize);
  const auto twin = std::span(tail).subspan(entries.size(), 92);
  std::copy(header.begin(), header.end(), twin.begin());
  store_le<uint64_t>(twin, 24, load_le<uint64_t>(header, 32));
  store_le<uint64_t>(twin, 32, load_le<uint64_t>(header, 24));
  store_le<uint64_t>(twin, 72, kFileSize / kSectorSize - 33);
  sign(twin, entries);
  check(head, tail);
}

std::vector<std::string> seeds() {
  const Guid type = guid_from_text("4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
  const GptBytes gpt = format_gpt({{type, type, kGptFirstUsable, 8192, kPartitionReadOnly, "root"},
                                   {type, type, kGptFirstUsable + 8192, 4096, kPartitionReadOnly, "root-verity"}},
                                  type, kFileSize);
  return {std::string(as_text(gpt.head)) + std::string(as_text(gpt.tail))};
}

}  // namespace
}  // namespace driverext::fuzz

FUZZ_TARGET(gpt, driverext::fuzz::run, driverext::fuzz::seeds)
