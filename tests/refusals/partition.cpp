// Partitions of the wrong kind, number, size and place: what systemd lets through among them.
#include "refusals/refusal.hpp"
#include "support/sample_image.hpp"

namespace driverext::test {
namespace {

constexpr const char* kGeneric = "0fc63daf-8483-4772-8e79-3d69d8477de4";

using Edit = std::function<void(std::vector<Partition>&)>;

Refusal malformed(const std::string& name, std::function<std::string()> bytes, const std::string& says) {
  return {"should-fail-" + name, Stage::container, "image-malformed", std::move(bytes), says};
}

// Both tables rewritten, checksums right.
Refusal table(const std::string& name, const Edit& edit, const std::string& says) {
  const auto make = [edit] {
    std::vector<Partition> list = partitions_of(sample_bytes());
    edit(list);
    return with_partitions(sample_bytes(), list);
  };
  return malformed(name, make, says);
}

void set_types(std::vector<Partition>& list, const std::vector<const char*>& types) {
  for (size_t i = 0; i < types.size(); ++i) list[i].type = guid_from_text(types[i]);
}

// The same image with bytes put in behind one of its partitions, which grows by `growth` of them.
std::string with_room(size_t behind, uint64_t room, char fill, uint64_t growth) {
  std::string image = sample_bytes();
  std::vector<Partition> list = partitions_of(image);
  const uint64_t end = list[behind].offset + list[behind].size;
  image.insert(end, room, fill);
  list[behind].size += growth;
  for (Partition& partition : list) {
    if (partition.offset >= end) partition.offset += room;
  }
  return with_partitions(std::move(image), list);
}

// The last block of one of its partitions wiped and no longer part of it.
std::string shortened(size_t which) {
  std::string image = sample_bytes();
  std::vector<Partition> list = partitions_of(image);
  list[which].size -= 4096;
  image.replace(list[which].offset + list[which].size, 4096, 4096, '\0');
  return with_partitions(std::move(image), list);
}

}  // namespace

std::vector<Refusal> partition_refusals() {
  return {
      // Mounted without verity, whoever signed it, by some versions of systemd.
      table(
          "usr-partitions",
          [](auto& list) {
            set_types(list, {"8484680c-9521-48c6-9c11-b0720656f69e", "77ff5f63-e7b6-4633-acf4-1565b864c0e6",
                             "e7bb33fb-06cf-4e81-8273-e543b413e2e2"});
          },
          "no root partition"),
      table(
          "usr-partition-beside-root-verity",
          [](auto& list) { set_types(list, {"8484680c-9521-48c6-9c11-b0720656f69e"}); }, "no root partition"),
      // Taken as root by systemd, without verity.
      table(
          "generic-partition-as-root", [](auto& list) { set_types(list, {kGeneric}); }, "no root partition"),
      table(
          "lone-generic-partition",
          [](auto& list) {
            set_types(list, {kGeneric});
            list.resize(1);
          },
          "1 partitions"),
      table(
          "lone-root-partition", [](auto& list) { list.resize(1); }, "1 partitions"),
      table(
          "no-partitions", [](auto& list) { list.clear(); }, "0 partitions"),
      table(
          "root-missing", [](auto& list) { list.erase(list.begin()); }, "2 partitions"),
      table(
          "verity-partition-missing", [](auto& list) { list.erase(list.begin() + 1); }, "2 partitions"),
      // The default policy of systemd mounts it without verity.
      table(
          "signature-partition-missing", [](auto& list) { list.pop_back(); }, "2 partitions"),
      table(
          "verity-partition-of-generic-type", [](auto& list) { list[1].type = guid_from_text(kGeneric); },
          "no root-verity partition"),
      table(
          "signature-partition-of-generic-type", [](auto& list) { list[2].type = guid_from_text(kGeneric); },
          "no root-verity-sig partition"),
      table(
          "two-roots", [](auto& list) { list[1].type = list[0].type; }, "no root-verity partition"),
      table(
          "two-signature-partitions", [](auto& list) { list[1].type = list[2].type; }, "no root-verity partition"),
      table(
          "fourth-partition",
          [](auto& list) {
            Partition extra = list[2];
            list[2].size -= 4096;
            extra.offset += extra.size - 4096;
            extra.size = 4096;
            extra.type = guid_from_text(kGeneric);
            list.push_back(extra);
          },
          "4 partitions"),
      table(
          "root-of-another-architecture", [](auto& list) { set_types(list, {"b921b045-1df0-41c3-af44-4c6f280d3fae"}); },
          "no root-verity partition"),
      table(
          "root-uuid-of-another-hash", [](auto& list) { list[0].uuid[15] ^= std::byte{1}; }, "UUIDs"),
      table(
          "verity-uuid-of-another-hash", [](auto& list) { list[1].uuid[0] ^= std::byte{1}; }, "UUIDs"),
      table(
          "uuids-swapped", [](auto& list) { std::swap(list[0].uuid, list[1].uuid); }, "UUIDs"),
      table(
          "root-that-systemd-passes-over", [](auto& list) { list[0].attributes |= uint64_t{1} << 63; }, "attributes"),
      table(
          "unknown-attribute", [](auto& list) { list[1].attributes |= uint64_t{1} << 50; }, "attributes"),
      table(
          "unused-entry-that-hides-one",
          [](auto& list) {
            list.push_back(list[2]);
            list.back().type = Guid{};
          },
          "unused entry"),
      table(
          "overlapping-partitions", [](auto& list) { list[1].offset -= 4096; }, "overlap"),
      table(
          "partition-inside-another",
          [](auto& list) {
            list[2].offset = list[0].offset + 4096;
            list[2].size = 4096;
          },
          "overlap"),
      table(
          "partition-behind-the-file", [](auto& list) { list[2].offset = uint64_t{1} << 40; }, "usable range"),
      table(
          "partition-in-the-backup", [](auto& list) { list[2].size += 64 << 10; }, "usable range"),
      table(
          "partition-in-the-table", [](auto& list) { list[0].offset = 4096; }, "usable range"),
      table(
          "partition-that-ends-before-it-begins", [](auto& list) { list[2].size = 0; }, "usable range"),
      table(
          "partition-whose-size-wraps", [](auto& list) { list[2].size = UINT64_MAX - 511; }, "usable range"),
      table(
          "unaligned-root",
          [](auto& list) {
            list[0].offset += 512;
            list[0].size -= 512;
          },
          "aligned"),
      table(
          "unaligned-signature-partition", [](auto& list) { list[2].size -= 512; }, "aligned"),
      malformed(
          "root-shorter-than-its-tree", [] { return shortened(0); }, "disagree"),
      malformed(
          "verity-partition-too-small", [] { return shortened(1); }, "too small"),
      table(
          "block-of-the-root-left-out", [](auto& list) { list[0].size -= 4096; }, "before a partition"),
      malformed(
          "root-longer-than-its-tree", [] { return with_room(0, 4096, '\0', 4096); }, "disagree"),
      malformed(
          "data-behind-the-tree", [] { return with_room(1, 4096, 'x', 4096); }, "behind the hash tree"),
      malformed(
          "data-between-partitions", [] { return with_room(0, 4096, 'x', 0); }, "before a partition"),
      malformed(
          "wide-gap-between-partitions", [] { return with_room(1, 2 << 20, '\0', 0); }, "before a partition"),
      malformed(
          "signature-partition-of-5-mib", [] { return with_room(2, 5 << 20, '\0', 5 << 20); }, "at most 4 MiB"),
  };
}

}  // namespace driverext::test
