#include "server/workers/local_process_launcher.h"

#include <sys/stat.h>

#include <csignal>
#include <map>
#include <string>

#include "absl/synchronization/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/files.h"
#include "server/base/log.h"

namespace attune::workers {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

struct Exit {
  ExitStatus status;
  std::vector<std::string> log_tail;
};

class LocalProcessLauncherTest : public ::testing::Test {
 protected:
  void Start(const std::string& script, size_t log_tail_lines = 40, bool forward_log = false) {
    std::string path = directory_.path() + "/worker";
    ASSERT_TRUE(WriteFileAtomically(Files::Posix(), path, "#!/bin/sh\n" + script).ok());
    ASSERT_EQ(chmod(path.c_str(), 0755), 0);
    auto launcher = LocalProcessLauncher::Create(
        {.worker_path = path, .server_address = "unix:/x", .extra_env = {{"EXTRA", "e"}}, .log_tail_lines = log_tail_lines, .forward_log = forward_log});
    ASSERT_TRUE(launcher.ok()) << launcher.status();
    launcher_ = std::move(*launcher);
  }
  absl::Status Launch(const std::string& id) {
    return launcher_->Launch({id, "secret-of-" + id}, [this](const std::string& worker, const ExitStatus& status, std::vector<std::string> tail) {
      absl::MutexLock lock(&mutex_);
      exits_[worker] = {status, std::move(tail)};
    });
  }
  Exit WaitForExit(const std::string& id) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, &id]() { return exits_.count(id) != 0; };
    mutex_.Await(absl::Condition(&there));
    return exits_[id];
  }

  TemporaryDirectory directory_;
  absl::Mutex mutex_;
  std::map<std::string, Exit> exits_;
  std::unique_ptr<LocalProcessLauncher> launcher_;  // goes first
};

TEST_F(LocalProcessLauncherTest, PassesAddressIdAndSecretAndReportsTheExit) {
  Start("echo \"$1 $2 $3 $4\" >&2\necho \"$ATTUNE_WORKER_SECRET $EXTRA\" >&2\nprintf 'no line end' >&2\nexit 3\n");
  ASSERT_TRUE(Launch("w1").ok());
  Exit exit = WaitForExit("w1");
  EXPECT_FALSE(exit.status.signaled);
  EXPECT_EQ(exit.status.code, 3);
  EXPECT_THAT(exit.log_tail, ElementsAre("--server unix:/x --worker-id w1", "secret-of-w1 e", "no line end"));
}

TEST_F(LocalProcessLauncherTest, WatchesManyAtOnceAndKeepsTheNewestLines) {
  Start("i=0\nwhile [ $i -lt 100 ]; do echo \"line $i\" >&2; i=$((i+1)); done\n", 2);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(Launch("w" + std::to_string(i)).ok());
  for (int i = 0; i < 8; ++i) {
    EXPECT_THAT(WaitForExit("w" + std::to_string(i)).log_tail, ElementsAre("line 98", "line 99"));
  }
}

TEST_F(LocalProcessLauncherTest, LinesAreForwardedAsTheJsonThatTheyAreAtTheirOwnLevel) {
  testing::internal::CaptureStderr();
  SetMinLogLevel(LogLevel::kWarning);
  Start("echo '{\"level\":\"error\",\"message\":\"bad\",\"step\":7}' >&2\necho '{\"level\":\"info\",\"message\":\"fine\"}' >&2\n", 10, /*forward_log=*/true);
  ASSERT_TRUE(Launch("w1").ok());
  WaitForExit("w1");
  SetMinLogLevel(LogLevel::kInfo);
  Start("echo 'plain \"text\"' >&2\necho '{\"level\":[1' >&2\necho '{\"level\":[1]}' >&2\n", 10, /*forward_log=*/true);
  ASSERT_TRUE(Launch("w2").ok());
  WaitForExit("w2");
  const std::string written = testing::internal::GetCapturedStderr();
  EXPECT_THAT(written, HasSubstr(R"("level":"error","message":"worker","worker":"w1","line":{"level":"error","message":"bad","step":7}})"));
  EXPECT_THAT(written, Not(HasSubstr("fine")));
  EXPECT_THAT(written, HasSubstr(R"("level":"info","message":"worker","worker":"w2","line":"plain \"text\""})"));
  EXPECT_THAT(written, HasSubstr(R"("line":"{\"level\":[1"})"));
  EXPECT_THAT(written, HasSubstr(R"("level":"info","message":"worker","worker":"w2","line":{"level":[1]}})"));
}

TEST_F(LocalProcessLauncherTest, KillIsSeenAsASignal) {
  Start("exec sleep 1000\n");
  ASSERT_TRUE(Launch("w1").ok());
  launcher_->Kill("unknown");
  launcher_->Kill("w1");
  Exit exit = WaitForExit("w1");
  EXPECT_TRUE(exit.status.signaled);
  EXPECT_EQ(exit.status.code, SIGKILL);
  EXPECT_TRUE(launcher_->LogTail("w1").empty());
}

TEST_F(LocalProcessLauncherTest, AnExitIsNoticedThoughAGrandchildHoldsThePipe) {
  Start("sleep 1000 &\necho $! > " + directory_.path() + "/grandchild\necho here >&2\nexit 0\n");
  ASSERT_TRUE(Launch("w1").ok());
  EXPECT_THAT(WaitForExit("w1").log_tail, Contains("here"));
  kill(std::stoi(*ReadFile(directory_.path() + "/grandchild")), SIGKILL);
}

TEST_F(LocalProcessLauncherTest, DestructionKillsWhatRunsWithoutCallbacks) {
  Start("exec sleep 1000\n");
  ASSERT_TRUE(Launch("w1").ok());
  launcher_ = nullptr;
  EXPECT_TRUE(exits_.empty());
}

TEST_F(LocalProcessLauncherTest, AbsentProgramIsToldAtCreation) {
  EXPECT_EQ(LocalProcessLauncher::Create({.worker_path = directory_.path() + "/none"}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace attune::workers
