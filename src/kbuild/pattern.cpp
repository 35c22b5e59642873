#include "kbuild/pattern.hpp"

#include <bitset>
#include <cctype>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace driverext {
namespace {

constexpr size_t kMaxPattern = 512;

using Bytes = std::bitset<256>;

size_t byte_of(char c) { return static_cast<unsigned char>(c); }

enum class Kind { take, fork, start, end };

// One step of Thompson's machine. Where a fork goes is relative to itself, so that pieces can be put together.
struct Step {
  Kind kind;
  Bytes bytes = {};
  int first = 1;
  int second = 1;
};
using Steps = std::vector<Step>;

Step fork(size_t first, size_t second) { return {Kind::fork, {}, static_cast<int>(first), static_cast<int>(second)}; }
Step back(size_t distance, int otherwise) { return {Kind::fork, {}, -static_cast<int>(distance), otherwise}; }

void append(Steps& to, const Steps& what) { to.insert(to.end(), what.begin(), what.end()); }

// Each byte of a pattern makes two steps at most.
class PatternParser {
 public:
  explicit PatternParser(std::string_view pattern) : rest_(pattern) {}

  Result<Steps> parse() {
    TRY(Steps steps, alternatives());
    if (!rest_.empty()) return broken("has a \")\" too many");
    return steps;
  }

 private:
  static Error broken(const std::string& why) { return make_error(Errc::invalid_input, why); }
  [[nodiscard]] bool at(char c) const { return !rest_.empty() && rest_.front() == c; }
  [[nodiscard]] bool at_repetition() const { return at('*') || at('+') || at('?'); }
  char next() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  bool skip(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  Result<Steps> alternatives() {
    TRY(Steps steps, sequence());
    while (skip("|")) {
      TRY(const Steps other, sequence());
      steps.insert(steps.begin(), fork(1, steps.size() + 2));
      steps.push_back(fork(other.size() + 1, other.size() + 1));
      append(steps, other);
    }
    return steps;
  }

  Result<Steps> sequence() {
    Steps steps;
    while (!rest_.empty() && !at('|') && !at(')')) {
      TRY(const Steps piece, repeated());
      append(steps, piece);
    }
    return steps;
  }

  Result<Steps> repeated() {
    if (at('^') || at('$')) {
      const Kind kind = next() == '^' ? Kind::start : Kind::end;
      return Steps{{kind}};  // a repetition of it is one of nothing
    }
    TRY(Steps steps, atom());
    while (at_repetition()) {
      const char how = next();
      const size_t size = steps.size();
      if (how == '+') {
        steps.push_back(back(size, 1));
        continue;
      }
      steps.insert(steps.begin(), fork(1, size + (how == '*' ? 2 : 1)));
      if (how == '*') steps.push_back(back(size + 1, -static_cast<int>(size + 1)));
    }
    return steps;
  }

  Result<Steps> atom() {
    if (at_repetition()) return broken("repeats nothing");
    const char c = next();
    Bytes bytes;
    switch (c) {
      case '(': {
        TRY(Steps steps, alternatives());
        if (!skip(")")) return broken("has a \"(\" that nothing ends");
        return steps;
      }
      case '{':
        return broken("has counts");
      case '[': {
        TRY(bytes, bracket());
        break;
      }
      case '.':
        bytes.set();
        break;
      case '\\': {
        constexpr std::string_view kOperators = "<>`'";  // of GNU
        if (rest_.empty() || std::isalnum(static_cast<unsigned char>(rest_.front())) != 0 ||
            kOperators.find(rest_.front()) != std::string_view::npos) {
          return broken("has back references, or an escape that is none");
        }
        bytes.set(byte_of(next()));
        break;
      }
      default:
        bytes.set(byte_of(c));
    }
    return Steps{{Kind::take, bytes}};
  }

  // What stands behind "[".
  Result<Bytes> bracket() {
    Bytes bytes;
    const bool is_negated = skip("^");
    for (bool is_first = true; is_first || !at(']'); is_first = false) {
      if (rest_.empty()) return broken("has a \"[\" that nothing ends");
      if (rest_.starts_with("[.") || rest_.starts_with("[=")) return broken("has collating elements");
      if (skip("[:")) {
        TRY_VOID(add_class(bytes));
        continue;
      }
      const size_t low = byte_of(next());
      size_t high = low;
      if (rest_.size() > 1 && at('-') && rest_[1] != ']') {
        (void)next();
        if (at('[')) return broken("has a range that ends in \"[\"");
        high = byte_of(next());
        if (high < low) return broken("has a range that ends before it begins");
      }
      for (size_t i = low; i <= high; ++i) bytes.set(i);
    }
    (void)next();
    return is_negated ? ~bytes : bytes;
  }

  Result<void> add_class(Bytes& bytes) {
    constexpr std::pair<std::string_view, int (*)(int)> kClasses[] = {
        {"alnum:]", &::isalnum}, {"alpha:]", &::isalpha}, {"blank:]", &::isblank},
        {"digit:]", &::isdigit}, {"lower:]", &::islower}, {"punct:]", &::ispunct},
        {"space:]", &::isspace}, {"upper:]", &::isupper}, {"xdigit:]", &::isxdigit}};
    for (const auto& [name, holds] : kClasses) {
      if (!skip(name)) continue;
      for (int c = 0; c < 128; ++c) {
        if (holds(c) != 0) bytes.set(static_cast<size_t>(c));
      }
      return {};
    }
    return broken("names a class that there is not");
  }

  std::string_view rest_;
};

// All ways at once: each step is in the list once for each byte of the text, whatever the pattern is.
class Machine {
 public:
  Machine(const Steps& steps, std::string_view text) : steps_(steps), text_(text) {}

  bool finds() {
    std::vector<size_t> now;
    for (size_t place = 0; place <= text_.size(); ++place) {
      std::vector<bool> seen(steps_.size() + 1);
      now.push_back(0);  // it may begin anywhere
      std::vector<size_t> later;
      while (!now.empty()) {
        const size_t at = now.back();
        now.pop_back();
        if (seen[at]) continue;
        seen[at] = true;
        if (at == steps_.size()) return true;
        follow(at, place, now, later);
      }
      now = std::move(later);
    }
    return false;
  }

 private:
  void follow(size_t at, size_t place, std::vector<size_t>& now, std::vector<size_t>& later) const {
    const Step& step = steps_[at];
    switch (step.kind) {
      case Kind::take:
        if (place < text_.size() && step.bytes[byte_of(text_[place])]) later.push_back(at + 1);
        break;
      case Kind::fork:
        for (const int distance : {step.first, step.second}) {
          now.push_back(static_cast<size_t>(static_cast<std::ptrdiff_t>(at) + distance));
        }
        break;
      case Kind::start:
        if (place == 0) now.push_back(at + 1);
        break;
      case Kind::end:
        if (place == text_.size()) now.push_back(at + 1);
        break;
    }
  }

  const Steps& steps_;
  std::string_view text_;
};

}  // namespace

Result<bool> matches_pattern(const std::string& pattern, const std::string& text) {
  const std::string what = "the pattern \"" + pattern.substr(0, kMaxPattern) + "\"";
  if (pattern.size() > kMaxPattern) return make_error(Errc::invalid_input, what + " is too long");
  TRY(const Steps steps, PatternParser(pattern).parse().with_context(what));
  return Machine(steps, text).finds();
}

}  // namespace driverext
