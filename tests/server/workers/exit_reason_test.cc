#include "server/workers/exit_reason.h"

#include <csignal>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::workers {
namespace {

using ::testing::HasSubstr;

constexpr ExitStatus kZero{false, 0};
constexpr ExitStatus kThree{false, 3};
constexpr ExitStatus kSegv{true, SIGSEGV};
constexpr ExitStatus kKill{true, SIGKILL};

struct Case {
  std::string name;
  ExitFacts facts;
  ExitReason reason;
};

class Classify : public ::testing::TestWithParam<Case> {};

TEST_P(Classify, IsAsExpected) { EXPECT_EQ(ClassifyExit(GetParam().facts), GetParam().reason) << ExitReasonName(ClassifyExit(GetParam().facts)); }

INSTANTIATE_TEST_SUITE_P(
    Table, Classify,
    ::testing::Values(Case{"AttemptDone", {.said_hello = true, .status = kZero}, ExitReason::kClean},
                      Case{"IdleToldToGo", {.said_hello = true, .shutdown_requested = true, .status = kZero}, ExitReason::kIdleShutdown},
                      Case{"SuspendedAttempt", {.said_hello = true, .shutdown_requested = true, .attempt_open = true, .status = kZero}, ExitReason::kClean},
                      Case{"LeftWithoutAWord", {.said_hello = true, .attempt_open = true, .status = kZero}, ExitReason::kCrashed},
                      Case{"ExitCode", {.said_hello = true, .attempt_open = true, .status = kThree}, ExitReason::kCrashed},
                      Case{"Segfault", {.said_hello = true, .attempt_open = true, .status = kSegv}, ExitReason::kCrashed},
                      Case{"Killed", {.said_hello = true, .attempt_open = true, .status = kKill}, ExitReason::kKilled},
                      Case{"OutOfMemory", {.said_hello = true, .attempt_open = true, .memory_kill = true, .status = kKill}, ExitReason::kOutOfMemory},
                      Case{"SomebodyElseOutOfMemory", {.said_hello = true, .attempt_open = true, .memory_kill = true, .status = kSegv}, ExitReason::kCrashed},
                      Case{"StillStartingAtShutdown", {.shutdown_requested = true, .status = kKill}, ExitReason::kIdleShutdown},
                      Case{"KilledWhileSuspending", {.said_hello = true, .shutdown_requested = true, .attempt_open = true, .status = kKill}, ExitReason::kKilled},
                      Case{"KilledBeforeHello", {.status = kKill}, ExitReason::kKilled},
                      Case{"DiedBeforeHello", {.status = kThree}, ExitReason::kLaunchFailed},
                      Case{"NeverSaidHello", {.heartbeat_expired = true, .status = kKill}, ExitReason::kLaunchFailed},
                      Case{"Silent", {.said_hello = true, .attempt_open = true, .heartbeat_expired = true, .status = kKill}, ExitReason::kLostHeartbeat},
                      Case{"NotStopping", {.said_hello = true, .shutdown_requested = true, .stop_expired = true, .status = kKill}, ExitReason::kNotStopping},
                      Case{"Nonsense", {.said_hello = true, .protocol_error = true, .status = kKill}, ExitReason::kProtocolError}),
    [](const auto& info) { return info.param.name; });

TEST(DescribeExit, SaysWhatToDo) {
  EXPECT_THAT(DescribeExit(ExitReason::kKilled, kKill), HasSubstr("signal 9"));
  EXPECT_THAT(DescribeExit(ExitReason::kOutOfMemory, kKill), HasSubstr("batch_size"));
  EXPECT_THAT(DescribeExit(ExitReason::kCrashed, kThree), HasSubstr("code 3"));
}

}  // namespace
}  // namespace attune::workers
