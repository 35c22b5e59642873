// FakeHost: a host's root directory with the sample driver's configuration, and a fake kernel on it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fake_kernel.hpp"
#include "provisioner/provision.hpp"
#include "sample_image.hpp"
#include "temp_dir.hpp"

namespace driverext::test {

/// Reason code of what a provision ended in.
std::string reason(const Status& status);

/// Keeps every step report, in order.
class RecordedProgress final : public Progress {
 public:
  void step_begins(const PlannedStep& step) override { begun.push_back(std::string(step_name(step.kind))); }
  void step_ended(const StepReport& report) override {
    ended.push_back(std::string(step_name(report.kind)) + " " + std::string(step_outcome_name(report.outcome)));
  }
  std::vector<std::string> begun;
  std::vector<std::string> ended;
};

inline constexpr const char* kSampleBoot = "boot-of-the-test";

/// Remembers what was run, and answers what the test wants.
class FakePrograms final : public Programs {
 public:
  Result<std::string> run(const ProgramRequest& request) override {
    commands.push_back(request.argv.front());
    requests.push_back(request);
    if (static_cast<int>(commands.size()) == failing_)
      return make_error(Errc::system, request.argv.front() + " failed");
    return answer ? answer(request) : Result<std::string>(std::string());
  }
  /// The n-th run from now fails.
  void fail_run(int n) { failing_ = static_cast<int>(commands.size()) + n; }
  std::vector<std::string> commands;
  std::vector<ProgramRequest> requests;
  std::function<Result<std::string>(const ProgramRequest&)> answer;

 private:
  int failing_ = 0;
};

class FakeHost {
  TempDir directory_;  // first: the kernel below is given it

 public:
  /// x86-64, kernel kSampleKernel, driver kSampleDriver, publisher() trusted, no image.
  FakeHost();

  [[nodiscard]] const Dir& root() const { return directory_.dir(); }
  [[nodiscard]] std::string path(std::string_view name) const { return directory_ / name; }
  void write(std::string_view name, std::string_view content, mode_t mode = 0644) const {
    write_file(path(name), content, mode);
  }
  /// Puts a file into the inbox; returns its name relative to the root.
  std::string drop(std::string_view file, std::string_view bytes, mode_t mode = 0644) const;
  /// The files of an image of these options appear when it is mounted.
  void know_image(const std::string& bytes, const SampleOptions& options = {});

  /// A device of this name is there already, over the image in these bytes.
  void place_device(const std::string& name, const std::string& bytes);

  Status provision();
  [[nodiscard]] Host host();

  FakeKernel kernel;
  FakeHostModules host_modules;
  FakePrograms programs;
  RecordedProgress progress;
  int64_t now = kNow;
  ClockState clock = ClockState::unsure;

 private:
  void add_host_module(const std::string& name, const std::vector<std::string>& depends);
};

/// The first question of a provision is whether an image's modules run already. If it cannot be answered, they are
/// taken not to: what comes next will tell.
inline constexpr int kQuestionsOfTheSurvey = 1;

/// The device that the sample driver makes.
inline constexpr const char* kSampleNode = "dev/video0";
inline constexpr const char* kSampleSysfs = "sys/class/video4linux/video0/dev";

}  // namespace driverext::test
