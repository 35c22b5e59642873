// UniqueStream: a stdio stream, for the C libraries that take nothing else.
#pragma once

#include <cstdio>
#include <memory>

namespace driverext {

struct CloseStream {
  void operator()(std::FILE* stream) const { std::fclose(stream); }
};
using UniqueStream = std::unique_ptr<std::FILE, CloseStream>;

}  // namespace driverext
