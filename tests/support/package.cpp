#include "package.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "base/text.hpp"
#include "sys/process.hpp"
#include "verdict.hpp"

namespace driverext::test {
namespace {

constexpr size_t kBlock = 512;

void put(std::string& block, size_t at, std::string_view text) { block.replace(at, text.size(), text); }

std::string octal(unsigned long value, int digits) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%0*lo", digits, value);
  return text.data();
}

std::string shell(const std::string& command) { return std::string(trim(must(run_program({"sh", "-c", command})))); }

template <class T>
void append(std::string& file, const T& value) {
  file.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

template <class Header, class Segment, class Dynamic>
std::string make_library(const TinyLibrary& library, unsigned char elf_class) {
  std::string strings(1, '\0');
  std::vector<std::pair<int64_t, uint64_t>> entries;
  if (!library.soname.empty()) entries.emplace_back(DT_SONAME, strings.size());
  strings += library.soname + '\0';
  constexpr size_t kSegments = 2;
  const uint64_t dynamic = sizeof(Header) + kSegments * sizeof(Segment);
  const uint64_t table = dynamic + (entries.size() + 3) * sizeof(Dynamic);
  constexpr uint64_t kBase = 0x10000;
  entries.emplace_back(DT_STRTAB, kBase + table);
  entries.emplace_back(DT_STRSZ, strings.size());
  entries.emplace_back(DT_NULL, 0);

  Header header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = elf_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
  header.e_machine = library.machine;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof(Header);
  header.e_phoff = sizeof(Header);
  header.e_phentsize = sizeof(Segment);
  header.e_phnum = kSegments;
  std::string file;
  append(file, header);
  Segment load{};
  load.p_type = PT_LOAD;
  load.p_vaddr = kBase;
  load.p_filesz = load.p_memsz = static_cast<decltype(load.p_filesz)>(table + strings.size());
  append(file, load);
  Segment segment{};
  segment.p_type = PT_DYNAMIC;
  segment.p_offset = static_cast<decltype(segment.p_offset)>(dynamic);
  segment.p_vaddr = static_cast<decltype(segment.p_vaddr)>(kBase + dynamic);
  segment.p_filesz = static_cast<decltype(segment.p_filesz)>(entries.size() * sizeof(Dynamic));
  append(file, segment);
  for (const auto& [tag, value] : entries) {
    Dynamic entry{};
    entry.d_tag = static_cast<decltype(entry.d_tag)>(tag);
    entry.d_un.d_val = static_cast<decltype(entry.d_un.d_val)>(value);
    append(file, entry);
  }
  return file + strings;
}

}  // namespace

std::string tar_of(const std::vector<TarEntry>& entries) {
  std::string archive;
  for (const TarEntry& entry : entries) {
    std::string head(kBlock, '\0');
    put(head, 0, std::string_view(entry.name).substr(0, 100));
    put(head, 100, octal(entry.mode, 7));
    put(head, 108, octal(0, 7));
    put(head, 116, octal(0, 7));
    put(head, 124, octal(entry.content.size(), 11));
    put(head, 136, octal(static_cast<unsigned long>(entry.time), 11));
    put(head, 148, "        ");
    head[156] = entry.type;
    put(head, 157, std::string_view(entry.link).substr(0, 100));
    put(head, 257, std::string_view("ustar\00000", 8));
    unsigned long sum = 0;
    for (const char c : head) sum += static_cast<unsigned char>(c);
    put(head, 148, octal(sum, 6) + '\0');
    archive += head + entry.content;
    archive.append((kBlock - archive.size() % kBlock) % kBlock, '\0');
  }
  return archive.append(2 * kBlock, '\0');
}

std::string compressed(const std::string& bytes, const std::string& filter) {
  const TempDir tmp;
  write_file(tmp / "in", bytes);
  must(run_program({"sh", "-c", filter + " <" + (tmp / "in") + " >" + (tmp / "out")}));
  return read_whole(tmp / "out");
}

std::string self_extracting(const std::string& payload, const OldScript& script) {
  std::string body = "label=\"Sample driver\"\nversion_string=" + script.version +
                     "\npkg_version=1\nscript=./sample-installer\ntargetdir=Sample-x86_64-" + script.version +
                     "\nTMPROOT=${TMPDIR:=/tmp}\nTARGET_OS=\"Linux\"\nTARGET_ARCH=\"x86_64\"\n" + script.run + "\n" +
                     "if [ \"$1\" = \"--check\" ]; then\n    sum1=`tail -n +4 $0 | cksum | awk '{print $1}'`\nfi\n" +
                     "tail -n +$skip $0 | zstd -d | tar xvf -\nexit $res\n\nEND_OF_STUB\n";
  if (!script.decompressor.empty()) body += script.decompressor + "\n";
  // The archive's first line: behind four of the head, and those of the body.
  const auto lines = std::count(body.begin(), body.end(), '\n');
  const std::string from_line_4 = "skip=" + std::to_string(lines + 5) + "\n" + body + payload;
  const TempDir tmp;
  write_file(tmp / "body", from_line_4);
  const std::string crc = shell("cksum <" + (tmp / "body") + " | cut -d' ' -f1");
  const std::string md5 = shell("md5sum <" + (tmp / "body") + " | cut -c-32");
  return "#! /bin/sh\nCRCsum=" + crc + "\nMD5=" + md5 + "\n" + from_line_4;
}

std::string tiny_library(const TinyLibrary& library) {
  return make_library<Elf64_Ehdr, Elf64_Phdr, Elf64_Dyn>(library, ELFCLASS64);
}

std::string tiny_library_32(const std::string& soname) {
  return make_library<Elf32_Ehdr, Elf32_Phdr, Elf32_Dyn>({.soname = soname, .machine = EM_386}, ELFCLASS32);
}

std::string sample_installer_manifest() {
  return "Sample Accelerated Driver for Linux-x86_64\n"
         "580.65.06\n"
         " \n"
         "sample sample-uvm \n"
         " \n"
         " \n"
         "./kernel/\n"
         "./kernel/precompiled/\n"
         "kernel/sample/core.c 0644 KERNEL_MODULE_SRC INHERIT_PATH_DEPTH:1 MODULE:resman\n"
         "kernel/dkms.conf 0644 DKMS_CONF INHERIT_PATH_DEPTH:1 MODULE:resman\n"
         "kernel-open/sample/core.c 0644 KERNEL_MODULE_SRC INHERIT_PATH_DEPTH:1 MODULE:kernel_open\n"
         "libcuda.so.580.65.06 0755 CUDA_LIB NATIVE / MODULE:gpgpu\n"
         "libcuda.so.1 0000 CUDA_SYMLINK NATIVE / libcuda.so.580.65.06 MODULE:gpgpu\n"
         "libcuda.so 0000 CUDA_SYMLINK NATIVE / libcuda.so.1 MODULE:gpgpu\n"
         "./32/libcuda.so.580.65.06 0755 CUDA_LIB COMPAT32 / MODULE:gpgpu\n"
         "libcuda.so.1 0000 CUDA_SYMLINK COMPAT32 / libcuda.so.580.65.06 MODULE:gpgpu\n"
         "libsample-jit.so.580.65.06 0755 CUDA_LIB NATIVE / MODULE:gpgpucomp\n"
         "sample.icd 0444 CUDA_ICD MODULE:gpgpu\n"
         "sample-smi 0755 UTILITY_BINARY MODULE:nvml\n"
         "sample-smi.1.gz 0444 MANPAGE man1/ MODULE:nvml\n"
         "sample-settings 0755 UTILITY_BINARY MODULE:xutils\n"
         "sample-modprobe 04755 SAMPLE_MODPROBE /usr/bin/ MODULE:installer\n"
         "sample-installer 0755 INSTALLER_BINARY MODULE:installer\n"
         "sample-uninstall 0000 UTILITY_BIN_SYMLINK sample-installer MODULE:installer\n"
         "firmware/gsp.bin 0644 FIRMWARE INHERIT_PATH_DEPTH:1 MODULE:gsp\n"
         "LICENSE 0444 DOCUMENTATION SAMPLE_GLX-1.0/ MODULE:installer\n"
         "supported/LICENSE 0444 DOCUMENTATION SAMPLE_GLX-1.0/supported MODULE:installer\n"
         "libGL_sample.so.580.65.06 0755 OPENGL_LIB NATIVE MODULE:opengl\n"
         "libGL_sample.so.0 0000 OPENGL_SYMLINK NATIVE libGL_sample.so.580.65.06 MODULE:opengl\n"
         "libvdpau_sample.so.580.65.06 0755 VDPAU_LIB NATIVE vdpau/ MODULE:vdpau\n"
         "libvdpau_sample.so.1 0000 VDPAU_SYMLINK NATIVE vdpau/ libvdpau_sample.so.580.65.06 MODULE:vdpau\n"
         "libvdpau_sample.so 0000 VDPAU_SYMLINK NATIVE / vdpau/libvdpau_sample.so.580.65.06 MODULE:vdpau\n"
         "sample-drm_gbm.so 0000 GBM_BACKEND_LIB_SYMLINK NATIVE libGL_sample.so.0 MODULE:nvalloc\n"
         "sample_icd.json 0644 VULKAN_ICD_JSON icd.d/ MODULE:opengl\n"
         "10_sample.json 0644 GLVND_EGL_ICD_JSON MODULE:opengl\n"
         "sample_drv.so 0755 XMODULE_SHARED_LIB drivers/ MODULE:xdriver\n"
         "sample-dbus.conf 0644 EXPLICIT_PATH /usr/share/dbus-1/system.d MODULE:powerd\n"
         "sample-udev.rules 0644 EXPLICIT_PATH /etc/udev/rules.d MODULE:powerd\n"
         "systemd/sample-suspend.service 0644 SYSTEMD_UNIT MODULE:powerd\n"
         "systemd/sample-suspend.service 0000 SYSTEMD_UNIT_SYMLINK systemd-suspend.service.requires/ MODULE:powerd\n"
         "sample-new-thing 0644 TYPE_OF_THE_FUTURE somewhere/ MODULE:future\n";
}

std::vector<TarEntry> sample_package() {
  const auto library = [](const std::string& soname) { return tiny_library({.soname = soname}); };
  return {
      {"./", "", '5', "", 0755},
      {"./.manifest", sample_installer_manifest()},
      {"./kernel/sample/core.c", "int core;\n"},
      {"./kernel/dkms.conf", "PACKAGE_NAME=sample\n"},
      {"./kernel-open/sample/core.c", "int core;\n"},
      {"./libcuda.so.580.65.06", library("libcuda.so.1"), '0', "", 0755},
      {"./32/libcuda.so.580.65.06", tiny_library_32("libcuda.so.1"), '0', "", 0755},
      {"./libsample-jit.so.580.65.06", library("libsample-jit.so.1"), '0', "", 0755},
      {"./sample.icd", "libsample-opencl.so.1\n", '0', "", 0444},
      {"./sample-smi", tiny_library(), '0', "", 0755},
      {"./sample-smi.1.gz", "man"},
      {"./sample-settings", tiny_library(), '0', "", 0755},
      {"./sample-modprobe", tiny_library(), '0', "", 04755},
      {"./sample-installer", "#!/bin/sh\n", '0', "", 0755},
      {"./firmware/gsp.bin", std::string(3000, 'g')},
      {"./LICENSE", "you may\n", '0', "", 0444},
      {"./supported/LICENSE", "others may\n", '0', "", 0444},
      {"./libGL_sample.so.580.65.06", library("libGL_sample.so.0"), '0', "", 0755},
      {"./libvdpau_sample.so.580.65.06", library("libvdpau_sample.so.1"), '0', "", 0755},
      {"./sample_icd.json", "{}"},
      {"./10_sample.json", "{}"},
      {"./sample_drv.so", library(""), '0', "", 0755},
      {"./sample-dbus.conf", "<busconfig/>"},
      {"./sample-udev.rules", ""},
      {"./systemd/sample-suspend.service", "[Unit]\n"},
      {"./sample-new-thing", "?"},
  };
}

void write_package(const std::string& folder, const std::vector<TarEntry>& entries) {
  for (const TarEntry& entry : entries) {
    if (entry.type != '0') continue;
    const std::string path = folder + "/" + entry.name;
    write_file(path, entry.content, entry.mode & 0777U);
    const timespec times[2] = {{entry.time, 0}, {entry.time, 0}};
    if (::utimensat(AT_FDCWD, path.c_str(), times, 0) != 0) throw std::runtime_error("cannot set time of " + path);
  }
}

}  // namespace driverext::test
