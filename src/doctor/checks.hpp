// Every check, by subject. What each is for stands in the table (checks.cpp).
#pragma once

#include "doctor/check.hpp"

namespace driverext::checks {

// host_checks.cpp
Result<Diagnosis> configuration(const DoctorInput& input);
Result<Diagnosis> service_enabled(const DoctorInput& input);
Result<Diagnosis> last_provision(const DoctorInput& input);
Result<Diagnosis> disk_space(const DoctorInput& input);
Result<Diagnosis> run_space(const DoctorInput& input);
Result<Diagnosis> channel_reachable(const DoctorInput& input);
Result<Diagnosis> last_acquisition(const DoctorInput& input);

// kernel_checks.cpp
Result<Diagnosis> loop_devices(const DoctorInput& input);
Result<Diagnosis> dm_verity(const DoctorInput& input);
Result<Diagnosis> image_file_system(const DoctorInput& input);
Result<Diagnosis> host_modules(const DoctorInput& input);
Result<Diagnosis> module_signatures(const DoctorInput& input);
Result<Diagnosis> module_blocked(const DoctorInput& input);
Result<Diagnosis> module_install_lines(const DoctorInput& input);
Result<Diagnosis> kernel_oops(const DoctorInput& input);

// module_checks.cpp
Result<Diagnosis> hardware_present(const DoctorInput& input);
Result<Diagnosis> competing_driver(const DoctorInput& input);
Result<Diagnosis> driver_loaded(const DoctorInput& input);
Result<Diagnosis> module_identity(const DoctorInput& input);
Result<Diagnosis> mixed_versions(const DoctorInput& input);
Result<Diagnosis> module_on_host(const DoctorInput& input);

// device_checks.cpp
Result<Diagnosis> device_nodes(const DoctorInput& input);
Result<Diagnosis> device_node_modes(const DoctorInput& input);
Result<Diagnosis> dev_char_links(const DoctorInput& input);
Result<Diagnosis> daemon_reload(const DoctorInput& input);
Result<Diagnosis> stale_device_nodes(const DoctorInput& input);

// holder_check.cpp
Result<Diagnosis> held_devices(const DoctorInput& input);

// root_checks.cpp
Result<Diagnosis> driver_root(const DoctorInput& input);
Result<Diagnosis> driver_root_version(const DoctorInput& input);
Result<Diagnosis> firmware_path(const DoctorInput& input);
Result<Diagnosis> merged_extension(const DoctorInput& input);

// engine_checks.cpp
Result<Diagnosis> toolkit_root(const DoctorInput& input);
Result<Diagnosis> docker_runtime(const DoctorInput& input);
Result<Diagnosis> engine_runtimes(const DoctorInput& input);

// cdi_checks.cpp
Result<Diagnosis> cdi_spec(const DoctorInput& input);
Result<Diagnosis> cdi_duplicates(const DoctorInput& input);
Result<Diagnosis> cdi_files(const DoctorInput& input);

// extension_checks.cpp, and extension_folder_checks.cpp for those that are folders
Result<Diagnosis> extension_files(const DoctorInput& input);
Result<Diagnosis> usr_type_extensions(const DoctorInput& input);
Result<Diagnosis> image_policy(const DoctorInput& input);
Result<Diagnosis> extension_os(const DoctorInput& input);
Result<Diagnosis> extension_level(const DoctorInput& input);
Result<Diagnosis> module_index(const DoctorInput& input);

// image_checks.cpp
Result<Diagnosis> image_for_kernel(const DoctorInput& input);
Result<Diagnosis> image_for_coming_kernel(const DoctorInput& input);
Result<Diagnosis> userland_for_modules(const DoctorInput& input);
Result<Diagnosis> refused_images(const DoctorInput& input);
Result<Diagnosis> waiting_images(const DoctorInput& input);
Result<Diagnosis> images_put_aside(const DoctorInput& input);
Result<Diagnosis> interrupted_load(const DoctorInput& input);

// trust_checks.cpp
Result<Diagnosis> trust_anchors(const DoctorInput& input);
Result<Diagnosis> signer_validity(const DoctorInput& input);
Result<Diagnosis> trust_folder(const DoctorInput& input);
Result<Diagnosis> node_key(const DoctorInput& input);
Result<Diagnosis> host_clock(const DoctorInput& input);

}  // namespace driverext::checks
