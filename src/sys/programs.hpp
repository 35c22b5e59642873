// Programs: the host's own tools and the driver's, run and waited for. Tests bring their own.
#pragma once

#include <memory>

#include "sys/process.hpp"

namespace driverext {

class Programs {
 public:
  Programs() = default;
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;
  virtual ~Programs() = default;

  /// As run_program.
  virtual Result<std::string> run(const ProgramRequest& request) = 0;
};

std::unique_ptr<Programs> make_real_programs();

}  // namespace driverext
