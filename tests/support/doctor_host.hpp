// DoctorHost: a host in good health, as `driverext doctor` sees one, for tests to make ill: a made-up GPU's driver is
// provisioned from an image in the store, its nodes are there, containers can use it.
#pragma once

#include <map>
#include <string>

#include "doctor/check.hpp"
#include "temp_dir.hpp"

namespace driverext::test {

inline constexpr const char* kDoctorRootHash = "5f1d9a0b";
/// What the definition of its driver names.
inline constexpr const char* kDoctorHardware = "pci:v00001D0Fd00000001sv00000000sd00000000bc03sc00i00";

class DoctorHost {
 public:
  DoctorHost();
  DoctorHost(const DoctorHost&) = delete;
  DoctorHost& operator=(const DoctorHost&) = delete;

  /// "problem: what it saw", by the check's name.
  [[nodiscard]] std::string look(std::string_view check) const;

  void write(const std::string& name, std::string_view text, mode_t mode = 0644) const;
  void link(const std::string& target, const std::string& name) const;
  void remove(const std::string& name) const;

  /// The driver is gone, and the last provision says why.
  void fail(const std::string& reason);

 private:
  TempDir dir_;

 public:
  DoctorInput input{dir_.dir()};
  std::map<std::string, DeviceNode> nodes;  ///< by name below the root
};

}  // namespace driverext::test
