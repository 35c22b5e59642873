// module-scan FILE...: prints what modinfo(8) prints of module files, by driverext's own reader.
#include <cstdio>

#include "modules/module_file.hpp"

namespace {

void print(const char* key, const std::string& value) {
  if (!value.empty()) std::printf("%-16s%s\n", key, value.c_str());
}

void print(const char* key, const std::vector<std::string>& values) {
  for (const std::string& value : values) print(key, value);
}

}  // namespace

int main(int argc, char** argv) {
  int status = 0;
  for (int i = 1; i < argc; ++i) {
    const auto info = driverext::read_module_file(argv[i]);
    if (!info) {
      std::fprintf(stderr, "module-scan: %s\n", info.error().message().c_str());
      status = 1;
      continue;
    }
    print("filename:", argv[i]);
    print("name:", info->name);
    print("version:", info->version);
    print("srcversion:", info->srcversion);
    print("license:", info->license);
    print("vermagic:", info->vermagic);
    print("build id:", info->build_id);
    print("toolchain:", info->toolchain);
    print("depends:", info->depends);
    print("softdep pre:", info->softdeps_pre);
    print("softdep post:", info->softdeps_post);
    print("alias:", info->aliases);
    print("firmware:", info->firmware);
    print("import_ns:", info->import_namespaces);
    for (const driverext::ModuleParameter& parameter : info->parameters) {
      print("parm:", parameter.name + ":" + parameter.description + " (" + parameter.type + ")");
    }
  }
  return status;
}
