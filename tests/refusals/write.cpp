// Writes every row of the refusal matrix as a file, with an index of what must refuse it:
//   write-refusals FOLDER
#include <cstdio>
#include <fstream>

#include "base/json.hpp"
#include "base/reason.hpp"
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

int exit_code_of(const std::string& reason) {
  for (const ReasonInfo& info : all_reasons()) {
    if (info.code == reason) return static_cast<int>(info.exit_code);
  }
  return -1;
}

// NAME.trust/: what a node would have in its folder of trust.
void write_trust(const std::string& folder, const Refusal& row) {
  write_file(folder + "/" + kAnchorsFile, anchors_pem(row));
  if (!row.policy.empty()) write_file(folder + "/policy.toml", row.policy);
  for (size_t i = 0; i < row.crls.size(); ++i) write_file(folder + "/" + std::to_string(i) + ".crl", row.crls[i]);
}

void write_all(const std::string& folder) {
  write_trust(folder + "/good.trust", {});
  write_sparse(folder + "/good.raw", sample_bytes());
  OrderedJson index = OrderedJson::array();
  for (const Refusal& row : all_refusals()) {
    write_sparse(folder + "/" + row.name + ".raw", row.bytes());
    write_trust(folder + "/" + row.name + ".trust", row);
    index.push_back({{"name", row.name},
                     {"stage", stage_name(row.stage)},
                     {"reason", row.reason},
                     {"exitCode", exit_code_of(row.reason)},
                     {"says", row.says}});
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
