#include "sys/cancellation.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "support/verdict.hpp"
#include "sys/process.hpp"

namespace driverext {
namespace {

using test::must;

void send(int signal) { ASSERT_EQ(::kill(::getpid(), signal), 0); }

class CancellationTest : public ::testing::Test {
 protected:
  // A test run in the background may ignore signals; here they count.
  void SetUp() override {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal, SIG_DFL);
  }
};

TEST_F(CancellationTest, EachSignalIsToldOfAndEndsNothing) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    const Cancellation cancellation = must(Cancellation::catch_signals());
    EXPECT_FALSE(cancellation.has_come());
    send(signal);
    EXPECT_TRUE(cancellation.has_come()) << signal;
    EXPECT_TRUE(cancellation.has_come()) << signal << ": it stays told";
    EXPECT_TRUE(is_readable(cancellation.fd())) << signal;
  }
}

TEST_F(CancellationTest, SignalReachesTheOuterOneOnceTheInnerOneIsGone) {
  const Cancellation outer = must(Cancellation::catch_signals());
  {
    const Cancellation inner = must(Cancellation::catch_signals());
    const Cancellation innermost = must(Cancellation::catch_signals());
  }
  EXPECT_FALSE(outer.has_come());
  send(SIGINT);
  EXPECT_TRUE(outer.has_come());
}

TEST_F(CancellationTest, SignalReachesAllThatLive) {
  const Cancellation outer = must(Cancellation::catch_signals());
  {
    const Cancellation inner = must(Cancellation::catch_signals());
    send(SIGTERM);
    EXPECT_TRUE(inner.has_come());
    EXPECT_TRUE(outer.has_come());
  }
  EXPECT_TRUE(outer.has_come());
  // What began to be cancelled begins nothing more.
  EXPECT_TRUE(must(Cancellation::catch_signals()).has_come());
}

TEST_F(CancellationTest, AfterwardsSignalsDoWhatTheyDid) {
  const auto handler = [] {
    struct sigaction action {};
    ::sigaction(SIGINT, nullptr, &action);
    return action.sa_handler;
  };
  std::signal(SIGHUP, SIG_IGN);
  {
    const Cancellation outer = must(Cancellation::catch_signals());
    const Cancellation inner = must(Cancellation::catch_signals());
    EXPECT_NE(handler(), SIG_DFL);
    send(SIGHUP);
    EXPECT_FALSE(outer.has_come()) << "nohup was asked for";
  }
  EXPECT_EQ(handler(), SIG_DFL);
  const Cancellation next = must(Cancellation::catch_signals());
  EXPECT_FALSE(next.has_come());
  send(SIGINT);
  EXPECT_TRUE(next.has_come());
}

}  // namespace
}  // namespace driverext
