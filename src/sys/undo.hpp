// Undo: runs an action when it goes out of scope, unless `commit()` gave it up.
//
// Every temporary and every kernel resource that a failure must take back is held by one of these;
// they are committed together when the whole has succeeded.
#pragma once

#include <utility>

namespace driverext {

template <class Action>
class [[nodiscard]] Undo {
 public:
  explicit Undo(Action action) : action_(std::move(action)) {}
  Undo(Undo&& other) noexcept : action_(std::move(other.action_)), armed_(std::exchange(other.armed_, false)) {}
  Undo& operator=(Undo&&) = delete;
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  ~Undo() {
    if (armed_) action_();
  }

  void commit() { armed_ = false; }

 private:
  Action action_;
  bool armed_ = true;
};

}  // namespace driverext
