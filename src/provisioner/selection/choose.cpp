#include "provisioner/selection/choose.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/version.hpp"

namespace driverext {
namespace {

bool is_candidate(const SelectionInput& input, const KnownImage& known) {
  return known.identity().driver == input.config.driver && known.identity().is_loadable();
}

// What is looked up once for each candidate, not once for each comparison.
struct Ranked {
  size_t index = 0;
  bool rests = false;  // it does not run now
  bool failed = false;
  bool unknown_after_failure = false;
  bool for_another_kernel = false;
  bool unwanted = false;
  size_t flavor = 0;
};

// What comes before any version.
auto class_of(const Ranked& ranked) {
  return std::tuple(ranked.rests, ranked.failed, ranked.unknown_after_failure, ranked.unwanted,
                    ranked.for_another_kernel);
}

bool comes_before(const Inventory& inventory, const Ranked& a, const Ranked& b) {
  if (class_of(a) != class_of(b)) return class_of(a) < class_of(b);
  const KnownImage& left = inventory.images[a.index];
  const KnownImage& right = inventory.images[b.index];
  const bool same_version = (left.origin == Origin::built) == (right.origin == Origin::built) &&
                            order_of_versions(left.identity().version, right.identity().version) == 0;
  if (same_version && a.flavor != b.flavor) return a.flavor < b.flavor;
  return is_newer(left, right);
}

// Candidates, the best first, each looked at only when it is its turn: of a thousand images mostly one is.
class Queue {
  [[nodiscard]] auto is_behind() const {
    return [this](const Ranked& a, const Ranked& b) { return comes_before(input_.inventory, b, a); };
  }

 public:
  explicit Queue(const SelectionInput& input) : input_(input) {
    const KernelMemory& memory = input.state.of(input.facts.kernel_release);
    const std::vector<KnownImage>& images = input.inventory.images;
    for (size_t i = 0; i < images.size(); ++i) {
      if (is_candidate(input, images[i])) ranked_.push_back(rank(memory, i));
    }
    // The last one is the next. Versions are compared only among those that are to be looked at.
    std::sort(ranked_.begin(), ranked_.end(),
              [](const Ranked& a, const Ranked& b) { return class_of(b) < class_of(a); });
    rest_ = ranked_.size();
  }

  // The next one that meets all that its identity tells; nothing if there is none.
  std::optional<size_t> next() {
    while (!ranked_.empty()) {
      if (ranked_.size() == rest_) begin_class();
      std::pop_heap(heap_begin(), ranked_.end(), is_behind());
      const size_t index = ranked_.back().index;
      ranked_.pop_back();
      if (first_unmet(judge_identity(input_, input_.inventory.images[index])) == nullptr) return index;
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] std::vector<Ranked>::iterator heap_begin() {
    return ranked_.begin() + static_cast<std::ptrdiff_t>(rest_);
  }
  // Those at the end that only versions and dates tell apart.
  void begin_class() {
    const auto best = class_of(ranked_.back());
    while (rest_ > 0 && class_of(ranked_[rest_ - 1]) == best) --rest_;
    std::make_heap(heap_begin(), ranked_.end(), is_behind());
  }

  Ranked rank(const KernelMemory& memory, size_t index) {
    const ImageIdentity& image = input_.inventory.images[index].identity();
    Ranked ranked;
    ranked.index = index;
    ranked.rests = input_.running.empty() || image.root_hash != input_.running;
    ranked.failed = memory.is_doubtful(image.root_hash);
    ranked.unknown_after_failure = !input_.tried.empty() && !memory.is_good(image.root_hash);
    ranked.for_another_kernel = !is_exact(input_.facts, image);
    ranked.unwanted = !is_wanted(input_, image);
    const auto known = std::find_if(flavors_.begin(), flavors_.end(),
                                    [&](const auto& flavor) { return flavor.first == image.flavor; });
    if (known == flavors_.end()) {
      ranked.flavor = flavor_rank(input_, image.flavor);
      flavors_.emplace_back(image.flavor, ranked.flavor);
    } else {
      ranked.flavor = known->second;
    }
    return ranked;
  }

  const SelectionInput& input_;
  std::vector<Ranked> ranked_;
  size_t rest_ = 0;                                      // so many are of later classes
  std::vector<std::pair<std::string, size_t>> flavors_;  // how well each suits the hardware
};

void take_nearest(std::optional<NearMiss>& nearest, size_t image, const Finding& finding) {
  if (!nearest || nearest->finding.requirement < finding.requirement) nearest = NearMiss{image, finding};
}

}  // namespace

std::string_view rung_name(Rung rung) {
  switch (rung) {
    case Rung::exact:
      return "exact";
    case Rung::kabi:
      return "kabi";
    case Rung::previous:
      return "previous";
  }
  return "?";
}

std::vector<size_t> ranked_candidates(const SelectionInput& input) {
  std::vector<size_t> indices;
  Queue queue(input);
  while (const std::optional<size_t> index = queue.next()) indices.push_back(*index);
  return indices;
}

bool has_what_is_asked_for(const SelectionInput& input) {
  const KernelMemory& memory = input.state.of(input.facts.kernel_release);
  const std::vector<KnownImage>& images = input.inventory.images;
  return std::any_of(images.begin(), images.end(), [&](const KnownImage& known) {
    const ImageIdentity& image = known.identity();
    return is_candidate(input, known) && is_exact(input.facts, image) && is_wanted(input, image) &&
           !memory.is_doubtful(image.root_hash) && first_unmet(judge_identity(input, known)) == nullptr;
  });
}

Rung rung_of(const SelectionInput& input, const ImageIdentity& image) {
  const KernelMemory& memory = input.state.of(input.facts.kernel_release);
  if (memory.is_good(image.root_hash)) {
    if (!is_wanted(input, image)) return Rung::previous;
    // Something newer is here that failed: this one is what the node went back to.
    const bool went_back =
        std::any_of(input.inventory.images.begin(), input.inventory.images.end(), [&](const KnownImage& known) {
          const ImageIdentity& other = known.identity();
          return is_candidate(input, known) && is_exact(input.facts, other) && other.root_hash != image.root_hash &&
                 (memory.failure_of(other.root_hash) != nullptr || input.tried.contains(other.root_hash)) &&
                 order_of_versions(other.version, image.version) >= 0 && is_wanted(input, other);
        });
    if (went_back) return Rung::previous;
  }
  return is_exact(input.facts, image) ? Rung::exact : Rung::kabi;
}

Choice choose_image(const SelectionInput& input) {
  Choice choice;
  const std::vector<KnownImage>& images = input.inventory.images;
  Queue queue(input);
  while (const std::optional<size_t> next = queue.next()) {
    const size_t index = *next;
    const Result<std::vector<Finding>> findings = judge(input, images[index]);
    if (!findings) {
      // It was whole a moment ago: what is told of it is why it cannot be read now.
      const Finding finding{Requirement::trusted, Verdict::unmet, reason_of(findings.error()),
                            findings.error().message()};
      // It was changed since it was looked at: that is to be heard, whatever else is here.
      if (findings.error().code == Errc::untrusted) {
        choice.nearest.emplace(NearMiss{index, finding});
        return choice;
      }
      take_nearest(choice.nearest, index, finding);
      continue;
    }
    const Finding* unmet = first_unmet(*findings);
    if (unmet == nullptr) {
      choice.image = index;
      choice.rung = rung_of(input, images[index].identity());
      choice.nearest.reset();
      return choice;
    }
    take_nearest(choice.nearest, index, *unmet);
  }
  for (size_t i = 0; i < images.size(); ++i) {
    if (!is_candidate(input, images[i])) continue;
    const std::vector<Finding> findings = judge_identity(input, images[i]);
    if (const Finding* unmet = first_unmet(findings)) take_nearest(choice.nearest, i, *unmet);
  }
  // What its manifest tells may speak against it earlier.
  if (choice.nearest) {
    const Result<std::vector<Finding>> findings = judge(input, images[choice.nearest->image]);
    const Finding* unmet = findings ? first_unmet(*findings) : nullptr;
    if (unmet != nullptr) choice.nearest->finding = *unmet;
  }
  return choice;
}

bool is_settled_by_identity(const SelectionInput& input) {
  const std::vector<KnownImage>& images = input.inventory.images;
  Queue queue(input);
  const std::optional<size_t> best_index = queue.next();
  // Then more facts only tell better what is missing.
  if (!best_index) {
    return std::none_of(images.begin(), images.end(),
                        [&](const KnownImage& known) { return is_candidate(input, known); });
  }
  const ImageIdentity& best = images[*best_index].identity();
  if (!was_taken_before(input, best)) return false;
  // Of two flavors of one version the hardware decides.
  return std::none_of(images.begin(), images.end(), [&](const KnownImage& known) {
    const ImageIdentity& other = known.identity();
    return is_candidate(input, known) && other.version == best.version && other.flavor != best.flavor;
  });
}

}  // namespace driverext
