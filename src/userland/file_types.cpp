#include "userland/file_types.hpp"

#include <array>

namespace driverext {
namespace {

constexpr auto kCompute = UserlandClass::compute;
constexpr auto kGraphics = UserlandClass::graphics;
constexpr auto kAll = UserlandClass::all;

constexpr std::string_view kLib = "{lib}/{folder}";
constexpr std::string_view kXorg = "usr/lib64/xorg/modules/{folder}";

// Types of all packages from 390 to 610, in the order in which the installer's own table has them. Where the installer
// would write to /etc, the place below /usr that the same programs read is taken.
constexpr std::array kRules = {
    FileTypeRule{.type = "KERNEL_MODULE_SRC", .is_module_source = true},
    FileTypeRule{.type = "DKMS_CONF", .is_module_source = true},
    FileTypeRule{.type = "KERNEL_MODULE", .why_not = "kernel modules have images of their own"},
    FileTypeRule{.type = "MODULE_SIGNING_KEY", .why_not = "kernel modules have images of their own"},

    FileTypeRule{.type = "CUDA_LIB", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "CUDA_SYMLINK", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "OPENCL_LIB", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "OPENCL_LIB_SYMLINK", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "OPENCL_WRAPPER_LIB", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "OPENCL_WRAPPER_SYMLINK", .wanted_by = kCompute, .folder = kLib},
    // Loaders read /etc/OpenCL/vendors, or what OCL_ICD_VENDORS names.
    FileTypeRule{.type = "CUDA_ICD", .wanted_by = kCompute, .folder = "usr/share/OpenCL/vendors"},
    FileTypeRule{.type = "UTILITY_LIB", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "UTILITY_LIB_SYMLINK", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "UTILITY_BINARY", .wanted_by = kCompute, .folder = "usr/bin"},
    FileTypeRule{.type = "UTILITY_BIN_SYMLINK", .wanted_by = kCompute, .folder = "usr/bin"},
    // Decoding and encoding video works without a display, and computing jobs use it.
    FileTypeRule{.type = "NVCUVID_LIB", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "NVCUVID_LIB_SYMLINK", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "ENCODEAPI_LIB", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "ENCODEAPI_LIB_SYMLINK", .wanted_by = kCompute, .folder = kLib},
    // Licensing of virtual devices.
    FileTypeRule{.type = "VGX_LIB", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "VGX_LIB_SYMLINK", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "GRID_LIB", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "GRID_LIB_SYMLINK", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "FLEXERA_LIB", .wanted_by = kCompute, .folder = kLib},
    FileTypeRule{.type = "FLEXERA_LIB_SYMLINK", .wanted_by = kCompute, .folder = kLib},
    // Where request_firmware() of the driver's modules looks: by the driver's name and version.
    FileTypeRule{.type = "FIRMWARE", .wanted_by = kCompute, .folder = "usr/lib/firmware/{driver}/{version}/{folder}"},

    FileTypeRule{.type = "OPENGL_LIB", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "OPENGL_SYMLINK", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "OPENGL_DATA", .wanted_by = kGraphics, .folder = "{folder}"},
    FileTypeRule{.type = "TLS_LIB", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "TLS_SYMLINK", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "GLVND_LIB", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "GLVND_SYMLINK", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "GLX_CLIENT_LIB", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "GLX_CLIENT_SYMLINK", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "EGL_CLIENT_LIB", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "EGL_CLIENT_SYMLINK", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "GLVND_EGL_ICD_JSON", .wanted_by = kGraphics, .folder = "usr/share/glvnd/egl_vendor.d"},
    FileTypeRule{.type = "EGL_EXTERNAL_PLATFORM_JSON",
                 .wanted_by = kGraphics,
                 .folder = "usr/share/egl/egl_external_platform.d"},
    FileTypeRule{.type = "VULKAN_ICD_JSON", .wanted_by = kGraphics, .folder = "usr/share/vulkan/{folder}"},
    FileTypeRule{.type = "VULKANSC_ICD_JSON", .wanted_by = kGraphics, .folder = "usr/share/vulkansc/{folder}"},
    FileTypeRule{.type = "GBM_BACKEND_LIB", .wanted_by = kGraphics, .folder = "{lib}/gbm"},
    // Its target is named from the folder of libraries.
    FileTypeRule{
        .type = "GBM_BACKEND_LIB_SYMLINK", .wanted_by = kGraphics, .folder = "{lib}/gbm", .link_prefix = "../"},
    FileTypeRule{.type = "VDPAU_LIB", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "VDPAU_SYMLINK", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "NVIFR_LIB", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "NVIFR_LIB_SYMLINK", .wanted_by = kGraphics, .folder = kLib},
    FileTypeRule{.type = "XMODULE_SHARED_LIB", .wanted_by = kGraphics, .folder = kXorg},
    FileTypeRule{.type = "XMODULE_SYMLINK", .wanted_by = kGraphics, .folder = kXorg},
    FileTypeRule{.type = "GLX_MODULE_SHARED_LIB", .wanted_by = kGraphics, .folder = kXorg},
    FileTypeRule{.type = "GLX_MODULE_SYMLINK", .wanted_by = kGraphics, .folder = kXorg},
    FileTypeRule{.type = "XORG_OUTPUTCLASS_CONFIG", .wanted_by = kGraphics, .folder = "usr/share/X11/xorg.conf.d"},
    FileTypeRule{.type = "APPLICATION_PROFILE", .wanted_by = kGraphics, .folder = "usr/share/{driver}"},

    FileTypeRule{.type = "EXPLICIT_PATH", .wanted_by = kAll, .folder = "{folder}"},
    FileTypeRule{.type = "WINE_LIB", .wanted_by = kAll, .folder = "{lib}/{driver}/wine"},
    FileTypeRule{.type = "DOT_DESKTOP", .wanted_by = kAll, .folder = "usr/share/applications"},
    FileTypeRule{.type = "ICON", .wanted_by = kAll, .folder = "usr/share/icons/hicolor/{folder}"},
    FileTypeRule{.type = "SYSTEMD_UNIT", .wanted_by = kAll, .folder = "usr/lib/systemd/system"},
    FileTypeRule{.type = "SYSTEMD_SLEEP_SCRIPT", .wanted_by = kAll, .folder = "usr/lib/systemd/system-sleep"},
    FileTypeRule{.type = "SYSTEMD_UNIT_SYMLINK", .why_not = "which units run is for the host to say"},

    FileTypeRule{.type = "DOCUMENTATION", .why_not = "documentation"},
    FileTypeRule{.type = "*MANPAGE", .why_not = "documentation"},
    FileTypeRule{.type = "OPENGL_HEADER", .why_not = "for compiling"},
    FileTypeRule{.type = "LIBGL_LA", .why_not = "for compiling"},
    FileTypeRule{.type = "INSTALLER_BINARY", .why_not = "the installer's own"},
    FileTypeRule{.type = "INTERNAL_UTILITY_*", .why_not = "the installer's own"},
    // Loads modules and makes device nodes for whoever calls it; driverext has done both.
    FileTypeRule{.type = "*_MODPROBE", .why_not = "would run with rights of its own (setuid)"},
    FileTypeRule{.type = "SANDBOXUTILS_FILELIST_JSON", .why_not = "lists the files of an installed package"},
};

// The one document that has to go where the files go.
constexpr FileTypeRule kLicense = {
    .type = "DOCUMENTATION", .wanted_by = kCompute, .folder = "usr/share/licenses/{driver}"};

// Parts of a driver whose libraries and programs are of a general type, though they are about displays.
constexpr std::array<std::string_view, 3> kGraphicsParts = {"xutils", "nvfbc", "ngx"};

bool matches(std::string_view pattern, std::string_view type) {
  if (pattern.starts_with('*')) return type.ends_with(pattern.substr(1));
  if (pattern.ends_with('*')) return type.starts_with(pattern.substr(0, pattern.size() - 1));
  return type == pattern;
}

}  // namespace

std::span<const FileTypeRule> file_type_rules() { return kRules; }

const FileTypeRule* find_file_type(const PackagedFile& file) {
  if (file.type == kLicense.type && file.path == "LICENSE") return &kLicense;
  for (const FileTypeRule& rule : kRules) {
    if (matches(rule.type, file.type)) return &rule;
  }
  return nullptr;
}

UserlandClass class_of(const FileTypeRule& rule, const PackagedFile& file) {
  if (rule.wanted_by != kCompute) return rule.wanted_by;
  for (const std::string_view part : kGraphicsParts) {
    if (file.module == part) return kGraphics;
  }
  return kCompute;
}

}  // namespace driverext
