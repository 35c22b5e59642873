// Verbs of the driverext command: each a function, its help beside it.
#pragma once

#include <string>

#include "base/json_fwd.hpp"
#include "base/result.hpp"

namespace driverext::cli {

int image_build(int argc, char** argv);
int image_keygen(int argc, char** argv);
int image_sign(int argc, char** argv);
int image_inspect(int argc, char** argv);
int image_verify(int argc, char** argv);
int image_mount(int argc, char** argv);
int image_umount(int argc, char** argv);
int modules_sign(int argc, char** argv);
int channel_init(int argc, char** argv);
int channel_publish(int argc, char** argv);
int channel_rollout(int argc, char** argv);
int channel_check(int argc, char** argv);
int list(int argc, char** argv);
int pin(int argc, char** argv);
int prune(int argc, char** argv);
int retry(int argc, char** argv);
int rollback(int argc, char** argv);
int stage(int argc, char** argv);
int definition_check(int argc, char** argv);
int explain(int argc, char** argv);
int doctor(int argc, char** argv);
int status(int argc, char** argv);
int unload(int argc, char** argv);

/// --json=pretty|short|off
enum class JsonMode { off, pretty, compact };
Result<JsonMode> parse_json_mode(const std::string& text);
void print_json(const OrderedJson& value, JsonMode mode);

/// Prints the error and says which exit code goes with it.
int fail(const Error& error);
/// Prints what is wrong with the command line; returns the exit code for it.
int usage_error(const std::string& what);

/// Reads a file named on the command line.
Result<std::string> read_argument_file(const std::string& path, size_t max_size);

}  // namespace driverext::cli
