#include "kernel/device_mapper.hpp"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/bytes.hpp"
#include "sys/fd.hpp"
#include "sys/undo.hpp"

namespace driverext::dm {
namespace {

constexpr const char* kControl = "/dev/mapper/control";

// One ioctl with its variable part; the kernel wants both in one piece of memory.
class Request {
 public:
  explicit Request(const std::string& name) {
    auto& head = header();
    head.version[0] = DM_VERSION_MAJOR;
    head.version[1] = 0;
    head.version[2] = 0;
    head.data_size = static_cast<uint32_t>(buffer_.size());
    head.data_start = sizeof(dm_ioctl);
    std::memcpy(head.name, name.data(), std::min(name.size(), sizeof(head.name) - 1));
  }
  dm_ioctl& header() { return *reinterpret_cast<dm_ioctl*>(buffer_.data()); }
  char* payload() { return buffer_.data() + header().data_start; }
  [[nodiscard]] size_t payload_size() { return buffer_.size() - header().data_start; }

  /// 0 or errno.
  int send(int control, unsigned long command) { return ::ioctl(control, command, buffer_.data()) == 0 ? 0 : errno; }

 private:
  alignas(dm_ioctl) std::array<char, 16384> buffer_{};
};

Result<UniqueFd> open_control() {
  UniqueFd fd(::open(kControl, O_RDWR | O_CLOEXEC));
  if (fd) return fd;
  const int error = errno;
  Error failure = os_failure(error, std::string("cannot open ") + kControl);
  if (error == ENOENT || error == ENODEV) failure.reason = Reason::kernel_feature_missing;
  return failure;
}

Result<std::pair<dm_target_spec, std::string>> read_targets(int control, const std::string& name, uint32_t flags) {
  Request request(name);
  request.header().flags = flags;
  if (const int error = request.send(control, DM_TABLE_STATUS); error != 0) {
    return os_failure(error, "cannot read device-mapper device " + name);
  }
  if (request.header().target_count != 1 || (request.header().flags & DM_BUFFER_FULL_FLAG) != 0) {
    return make_error(Errc::conflict, Reason::mount_conflict,
                      "device-mapper device " + name + " does not have exactly one target");
  }
  dm_target_spec spec{};
  std::memcpy(&spec, request.payload(), sizeof(spec));
  const char* text = request.payload() + sizeof(spec);
  const size_t room = request.payload_size() - sizeof(spec);
  return std::pair(spec, std::string(text, ::strnlen(text, room)));
}

// Whether the kernel has a target now: to be asked after a table with it, for which the kernel tries to load it. A
// refused table alone says nothing: EINVAL is what every fault in one gives.
Result<bool> has_target(int control, const std::string& type) {
  Request request("");
  if (const int error = request.send(control, DM_LIST_VERSIONS); error != 0) {
    return os_failure(error, "cannot list device-mapper's targets");
  }
  if ((request.header().flags & DM_BUFFER_FULL_FLAG) != 0) {
    return make_error(Errc::unsupported, "device-mapper has too many targets to list");
  }
  return lists_target(std::as_bytes(std::span(request.payload(), request.payload_size())), type);
}

}  // namespace

bool lists_target(ByteSpan versions, std::string_view type) {
  constexpr size_t kName = offsetof(dm_target_versions, name);
  while (versions.size() > kName) {
    const std::string_view name = as_text(versions.subspan(kName));
    if (name.substr(0, name.find('\0')) == type) return true;
    const auto next = load_le<uint32_t>(versions, offsetof(dm_target_versions, next));
    if (next == 0 || next > versions.size()) return false;
    versions = versions.subspan(next);
  }
  return false;
}

Result<uint64_t> create(const std::string& name, const Table& table) {
  TRY(const UniqueFd control, open_control());
  const auto make = [&] {
    Request request(name);
    std::memcpy(request.header().uuid, name.data(), std::min(name.size(), sizeof(dm_ioctl::uuid) - 1));
    return request.send(control.get(), DM_DEV_CREATE);
  };
  int made = make();
  if (made == EBUSY) {
    // Left by a process that was killed half-way through here: a device that never got a table.
    TRY(const std::optional<Device> there, find(name));
    if (!there) {
      TRY_VOID(remove(name));
      made = make();
    }
  }
  if (made != 0) return os_failure(made, "cannot make device-mapper device " + name);
  Undo remove_again([&] { (void)remove(name); });

  Request load(name);
  load.header().target_count = 1;
  load.header().flags = DM_READONLY_FLAG;
  if (sizeof(dm_target_spec) + table.parameters.size() + 1 > load.payload_size()) {
    return make_error(Errc::invalid_input, "device-mapper table is too long");
  }
  dm_target_spec spec{};
  spec.length = table.sectors;
  std::memcpy(spec.target_type, table.type.data(), std::min(table.type.size(), sizeof(spec.target_type) - 1));
  spec.next = static_cast<uint32_t>(round_up(sizeof(spec) + table.parameters.size() + 1, 8));
  std::memcpy(load.payload(), &spec, sizeof(spec));
  std::memcpy(load.payload() + sizeof(spec), table.parameters.c_str(), table.parameters.size() + 1);
  if (const int error = load.send(control.get(), DM_TABLE_LOAD); error != 0) {
    Error failure = os_failure(error, "the kernel refused the dm-verity table of " + name);
    const Result<bool> there = has_target(control.get(), table.type);
    if (there && !*there) failure.reason = Reason::kernel_feature_missing;
    return failure;
  }

  Request resume(name);  // DM_DEV_SUSPEND without the suspend flag means resume
  if (const int error = resume.send(control.get(), DM_DEV_SUSPEND); error != 0) {
    return os_failure(error, "cannot start device-mapper device " + name);
  }
  remove_again.commit();
  return resume.header().dev;
}

Result<std::optional<Device>> find(const std::string& name) {
  TRY(const UniqueFd control, open_control());
  Request request(name);
  if (const int error = request.send(control.get(), DM_DEV_STATUS); error != 0) {
    if (error == ENXIO) return std::optional<Device>();
    return os_failure(error, "cannot look at device-mapper device " + name);
  }
  if ((request.header().flags & DM_ACTIVE_PRESENT_FLAG) == 0) return std::optional<Device>();
  Device device;
  device.device_number = request.header().dev;
  device.read_only = (request.header().flags & DM_READONLY_FLAG) != 0;
  TRY(const auto table, read_targets(control.get(), name, DM_STATUS_TABLE_FLAG));
  device.table.type =
      std::string(table.first.target_type, ::strnlen(table.first.target_type, sizeof(table.first.target_type)));
  device.table.sectors = table.first.length;
  device.table.parameters = table.second;
  TRY(const auto status, read_targets(control.get(), name, 0));
  device.status = status.second;
  return std::optional(std::move(device));
}

Result<void> remove(const std::string& name) {
  TRY(const UniqueFd control, open_control());
  Request request(name);
  request.header().flags = DM_DEFERRED_REMOVE;
  if (const int error = request.send(control.get(), DM_DEV_REMOVE); error != 0 && error != ENXIO) {
    return os_failure(error, "cannot remove device-mapper device " + name);
  }
  return {};
}

}  // namespace driverext::dm
