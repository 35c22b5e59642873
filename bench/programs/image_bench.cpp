// The image library alone, one job a run, for bench/image_*.py. The last line of output is the peak of memory in KiB.
#include <fcntl.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <optional>

#include "peak_memory.hpp"
#include "sys/dir.hpp"
#include "sysext/hash_tree.hpp"
#include "sysext/image_builder.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxPem = size_t{1} << 20;

struct Arguments {
  char** at;
  std::string next() {
    if (*at != nullptr) return *at++;
    std::fputs("image-bench: too few arguments\n", stderr);
    std::exit(2);
  }
};

Result<UniqueFd> open_file(const std::string& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  if (!fd) return os_failure(errno, "cannot open " + path);
  return fd;
}

Result<std::string> read_pem(const std::string& path) {
  TRY(const UniqueFd fd, open_file(path, O_RDONLY));
  return read_fd(fd.get(), kMaxPem, path);
}

Manifest manifest() {
  Manifest manifest;
  manifest.driver = "bench";
  manifest.version = "1.0";
  manifest.kind = Kind::userland;
  manifest.architecture = "x86-64";
  manifest.os_id = "debian";
  manifest.os_version_id = "12";
  manifest.license = "GPL";
  manifest.created = 1'700'000'000;
  return manifest;
}

Result<void> build(BuildRequest request, Arguments& rest) {
  request.manifest = manifest();
  request.output = rest.next();
  TRY(const std::string key_pem, read_pem(rest.next()));
  TRY(const std::string certificate_pem, read_pem(rest.next()));
  TRY(const SigningKey key, SigningKey::from_pem(key_pem, certificate_pem));
  request.key = &key;
  TRY(const BuiltImage built, build_image(request));
  std::puts(to_hex(built.root_hash).c_str());
  return {};
}

// TREE LEVEL OUTPUT KEY CERTIFICATE
Result<void> build_of_tree(Arguments rest) {
  BuildRequest request;
  request.trees = {{rest.next(), ""}};
  request.zstd_level = std::atoi(rest.next().c_str());
  return build(std::move(request), rest);
}

// FILE OUTPUT KEY CERTIFICATE
Result<void> build_of_file_system(Arguments rest) {
  BuildRequest request;
  request.file_system = rest.next();
  return build(std::move(request), rest);
}

// The manifest that a file system must hold to be taken.
Result<void> show_manifest(Arguments /*rest*/) {
  std::fputs(format_manifest(manifest()).c_str(), stdout);
  return {};
}

struct Hashing {
  UniqueFd data;
  UniqueFd hash;
  VeritySuperblock superblock;
  HashOptions options;
};

// BACKEND DATA HASH
Result<Hashing> open_for_hashing(Arguments& rest, int flags) {
  Hashing hashing;
  const std::string backend = rest.next();
  std::optional<Sha256Backend> found;
  for (const Sha256Backend candidate : sha256_backends()) {
    if (backend_name(candidate) == backend || backend == "fastest") found = candidate;
  }
  if (!found) return make_error(Errc::unsupported, "this processor has no " + backend);
  hashing.options.backend = *found;
  TRY(hashing.data, open_file(rest.next(), O_RDONLY));
  TRY(hashing.hash, open_file(rest.next(), flags));
  return hashing;
}

// ... SALT
Result<void> make_tree(Arguments rest) {
  TRY(Hashing hashing, open_for_hashing(rest, O_RDWR | O_CREAT | O_TRUNC));
  const off_t size = ::lseek(hashing.data.get(), 0, SEEK_END);
  hashing.superblock.data_blocks = static_cast<uint64_t>(size) / kVerityBlock;
  hashing.superblock.salt = from_hex(rest.next()).value_or(Bytes());
  TRY(const Digest root,
      write_hash_area({hashing.data.get(), 0}, {hashing.hash.get(), 0}, hashing.superblock, hashing.options));
  std::puts(to_hex(root).c_str());
  return {};
}

// ... ROOT_HASH
Result<void> check(Arguments rest) {
  TRY(Hashing hashing, open_for_hashing(rest, O_RDONLY));
  Bytes block(kVerityBlock);
  TRY_VOID(read_exactly(hashing.hash.get(), block, 0, "hash area"));
  TRY(hashing.superblock, parse_verity_superblock(block));
  const Bytes root = from_hex(rest.next()).value_or(Bytes());
  Digest digest{};
  if (root.size() == digest.size()) std::copy(root.begin(), root.end(), digest.begin());
  return check_all_blocks({hashing.data.get(), 0}, {hashing.hash.get(), 0}, hashing.superblock, digest,
                          hashing.options);
}

Result<void> show_backends(Arguments /*rest*/) {
  for (const Sha256Backend backend : sha256_backends()) std::puts(std::string(backend_name(backend)).c_str());
  return {};
}

int run(char** arguments) {
  static const std::map<std::string, std::function<Result<void>(Arguments)>> jobs = {
      {"build", build_of_tree}, {"wrap", build_of_file_system}, {"manifest", show_manifest}, {"tree", make_tree},
      {"check", check},         {"backends", show_backends}};
  Arguments rest{arguments};
  const auto job = jobs.find(rest.next());
  if (job == jobs.end()) {
    std::fputs("image-bench: unknown job\n", stderr);
    return 2;
  }
  if (const Result<void> done = job->second(rest); !done) {
    std::fprintf(stderr, "image-bench: %s\n", done.error().message().c_str());
    return 1;
  }
  if (job->first == "manifest" || job->first == "backends") return 0;
  std::printf("%ld\n", peak_kib());
  return 0;
}

}  // namespace
}  // namespace driverext

int main(int /*argc*/, char** argv) { return driverext::run(argv + 1); }
