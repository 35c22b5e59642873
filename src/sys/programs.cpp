#include "sys/programs.hpp"

namespace driverext {
namespace {

class RealPrograms final : public Programs {
 public:
  Result<std::string> run(const ProgramRequest& request) override { return run_program(request); }
};

}  // namespace

std::unique_ptr<Programs> make_real_programs() { return std::make_unique<RealPrograms>(); }

}  // namespace driverext
