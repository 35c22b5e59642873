// What an unload finds on the host: what is loaded, who holds it, and what a provision left beside it.
#pragma once

#include "base/result.hpp"
#include "driver/definition.hpp"
#include "kernel/kernel.hpp"
#include "provisioner/unload/plan.hpp"
#include "sys/dir.hpp"
#include "sys/programs.hpp"

namespace driverext {

constexpr size_t kMaxModprobeFile = size_t{1} << 20;

struct UnloadHost {
  const Dir& root;
  Kernel& kernel;
  Programs& programs;
  const Definition& definition;
};

/// Changes nothing. Errors: what keeps the modules from being known.
Result<UnloadFacts> survey_unload(const UnloadHost& host);

}  // namespace driverext
