#include "cli/passphrase.hpp"

#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/text.hpp"
#include "sys/cancellation.hpp"
#include "sys/fd.hpp"
#include "sys/undo.hpp"

namespace driverext::cli {

Result<std::string> ask_on_terminal(const std::string& prompt) {
  const UniqueFd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  termios shown{};
  if (!terminal || ::tcgetattr(terminal.get(), &shown) != 0) {
    return make_error(Errc::not_found, "there is no terminal to ask on");
  }
  // A signal must not leave a terminal behind that shows nothing.
  TRY(const Cancellation cancellation, Cancellation::catch_signals());
  const Undo restore([&] { ::tcsetattr(terminal.get(), TCSAFLUSH, &shown); });
  termios hidden = shown;
  hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  hidden.c_lflag |= ECHONL;
  if (::tcsetattr(terminal.get(), TCSAFLUSH, &hidden) != 0) return os_failure(errno, "cannot set the terminal up");
  const std::string question = printable(prompt) + ": ";
  if (::write(terminal.get(), question.data(), question.size()) < 0) return os_failure(errno, "cannot ask");

  std::array<pollfd, 2> waiting = {{{terminal.get(), POLLIN, 0}, {cancellation.fd(), POLLIN, 0}}};
  while (::poll(waiting.data(), waiting.size(), -1) < 0) {
    if (errno != EINTR) return os_failure(errno, "cannot wait for an answer");
  }
  if (cancellation.has_come()) return make_error(Errc::transient, "interrupted");
  // A terminal gives one line at a time, and no more than this.
  std::array<char, 4096> line{};
  const ssize_t size = ::read(terminal.get(), line.data(), line.size());
  if (size < 0) return os_failure(errno, "cannot read the answer");
  std::string answer(line.data(), static_cast<size_t>(size));
  if (answer.ends_with('\n')) answer.pop_back();
  return answer;
}

}  // namespace driverext::cli
