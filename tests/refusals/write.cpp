// Writes every row of the refusal matrix as a file, with an index of what must refuse it:
//   write-refusals FOLDER
#include <cstdio>
#include <fstream>

#include "base/json.hpp"
#include "refusals/refusal.hpp"
#include "support/sample_image.hpp"

namespace driverext::test {
namespace {

// Mostly zeros in a megabyte each: holes cost nothing.
void write_sparse(const std::string& path, const std::string& bytes) {
  constexpr size_t kPiece = 4096;
  const std::string zeros(kPiece, '\0');
  std::ofstream file(path, std::ios::binary);
  for (size_t at = 0; at < bytes.size(); at += kPiece) {
    const std::string_view piece = std::string_view(bytes).substr(at, kPiece);
    if (at + kPiece < bytes.size() && piece == zeros) continue;
    file.seekp(static_cast<std::streamoff>(at));
    file.write(piece.data(), static_cast<std::streamsize>(piece.size()));
  }
}

std::string anchors_of(const Refusal& row) {
  if (row.trust.empty()) return publisher().certificate_pem;
  std::string all;
  for (const std::string& pem : row.trust) all += pem;
  return all;
}

void write_all(const std::string& folder) {
  write_file(folder + "/good.crt", publisher().certificate_pem);
  write_sparse(folder + "/good.raw", sample_bytes());
  OrderedJson index = OrderedJson::array();
  for (const Refusal& row : all_refusals()) {
    write_sparse(folder + "/" + row.name + ".raw", row.bytes());
    write_file(folder + "/" + row.name + ".crt", anchors_of(row));
    index.push_back({{"name", row.name}, {"stage", stage_name(row.stage)}, {"reason", row.reason}, {"says", row.says}});
  }
  write_file(folder + "/index.json", index.dump(1));
}

}  // namespace
}  // namespace driverext::test

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("Usage: write-refusals FOLDER\n", stderr);
    return 2;
  }
  driverext::test::write_all(argv[1]);
  return 0;
}
