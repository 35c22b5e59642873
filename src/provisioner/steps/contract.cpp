// contract: the files by which the vendor's own tools see that the driver is there. The last thing that is said of it.
#include "provisioner/driver_root.hpp"
#include "provisioner/steps/step.hpp"

namespace driverext {
namespace {

constexpr size_t kMaxFile = size_t{64} << 10;

std::string filled_in(std::string text, std::string_view mark, const std::string& value) {
  for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
    text.replace(at, mark.size(), value);
  }
  return text;
}

class ContractStep final : public Step {
 public:
  explicit ContractStep(const StepContext& context) : context_(context) {
    for (ContractFile& file : contract_files(context.definition, context.image->identity().version)) {
      files_.push_back({{std::move(file)}, std::nullopt});
    }
  }

  Result<Probe> probe() override {
    Probe found = Probe::satisfied;
    for (File& file : files_) {
      Result<std::optional<std::string>> before = context_.root.read_if_there(file.name, kMaxFile);
      if (!before && !before.error().reason) before.error().reason = Reason::root_failed;
      TRY(file.before, std::move(before));
      if (file.before != file.text) found = Probe::needed;
    }
    return found;
  }

  Result<void> apply() override {
    Result<void> written = write();
    if (!written && !written.error().reason) written.error().reason = Reason::root_failed;
    return written;
  }

  Result<void> undo() override {
    Result<void> result;
    const auto attempt = [&](Result<void> outcome) {
      if (!outcome && result) result = std::move(outcome);
    };
    for (; written_ > 0; --written_) {
      const File& file = files_[written_ - 1];
      attempt(file.before ? context_.root.write_atomic(file.name, *file.before, 0644)
                          : context_.root.remove_file(file.name));
    }
    for (; !folders_.empty(); folders_.pop_back()) attempt(context_.root.remove_dir(folders_.back()));
    return result;
  }

 private:
  struct File : ContractFile {
    std::optional<std::string> before;
  };

  Result<void> write() {
    for (const File& file : files_) {
      TRY_VOID(make_folders(file.name));
      TRY_VOID(context_.root.write_atomic(file.name, file.text, 0644));
      ++written_;
    }
    return {};
  }

  Result<void> make_folders(const std::string& name) {
    for (size_t end = name.find('/'); end != std::string::npos; end = name.find('/', end + 1)) {
      const std::string folder = name.substr(0, end);
      TRY(const auto there, context_.root.status(folder));
      if (there) continue;
      TRY_VOID(context_.root.make_dirs(folder, 0755));
      folders_.push_back(folder);
    }
    return {};
  }

  const StepContext& context_;
  std::vector<File> files_;
  size_t written_ = 0;                // of files_
  std::vector<std::string> folders_;  // made by this step, in order
};

}  // namespace

std::vector<ContractFile> contract_files(const Definition& definition, const std::string& version) {
  std::vector<ContractFile> files;
  if (!definition.root) return files;
  for (const DefinedContractFile& defined : definition.root->contract) {
    std::string text = filled_in(defined.text, "{root}", "/" + definition.root->path);
    files.push_back({defined.file, filled_in(std::move(text), "{version}", version)});
  }
  return files;
}

std::unique_ptr<Step> make_contract_step(const StepContext& context) { return std::make_unique<ContractStep>(context); }

}  // namespace driverext
