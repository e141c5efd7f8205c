#include "server/base/subprocess.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace attune {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Subprocess> Shell(const std::string& script, bool capture_stdout = false) {
  auto child = Subprocess::Start({.argv = {"/bin/sh", "-c", script}, .capture_stdout = capture_stdout});
  EXPECT_TRUE(child.ok()) << child.status();
  return child.ok() ? std::move(*child) : nullptr;
}

TEST(SubprocessTest, CapturesOutputAndExitCode) {
  auto child = Shell("echo hello; exit 3", true);
  ASSERT_NE(child, nullptr);
  EXPECT_EQ(*child->ReadStdoutToEnd(), "hello\n");
  ExitStatus status = child->Wait();
  EXPECT_FALSE(status.signaled);
  EXPECT_EQ(status.code, 3);
  EXPECT_EQ(status.ToString(), "exited with code 3");
  EXPECT_EQ(child->Wait().code, 3) << "asked again";
  child->Signal(SIGKILL);  // ignored: the pid may be somebody else's by now
}

TEST(SubprocessTest, CapturesStandardError) {
  auto child = Subprocess::Start({.argv = {"/bin/sh", "-c", "echo oops >&2"}, .capture_stderr = true});
  ASSERT_TRUE(child.ok());
  EXPECT_EQ((*child)->stdout_fd(), -1);
  EXPECT_EQ((*child)->ReadStdoutToEnd().status().code(), absl::StatusCode::kFailedPrecondition);
  char buffer[16];
  EXPECT_EQ(read((*child)->stderr_fd(), buffer, sizeof(buffer)), 5);
}

TEST(SubprocessTest, OutputLimit) {
  auto child = Shell("echo 12345678", true);
  EXPECT_EQ(child->ReadStdoutToEnd(4).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(SubprocessTest, MissingProgramIsNotFound) {
  auto child = Subprocess::Start({.argv = {"/no/such/program"}});
  EXPECT_EQ(child.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(child.status().message()), HasSubstr("/no/such/program"));
  EXPECT_EQ(Subprocess::Start({}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SubprocessTest, EnvironmentIsExtendedAndOverridden) {
  ASSERT_EQ(setenv("ATTUNE_TEST_KEPT", "kept", 1), 0);
  ASSERT_EQ(setenv("ATTUNE_TEST_CHANGED", "before", 1), 0);
  auto child =
      Subprocess::Start({.argv = {"/bin/sh", "-c", "echo $ATTUNE_TEST_KEPT $ATTUNE_TEST_CHANGED $ATTUNE_TEST_NEW"},
                         .extra_env = {{"ATTUNE_TEST_CHANGED", "after"}, {"ATTUNE_TEST_NEW", "a=b"}},
                         .capture_stdout = true});
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(*(*child)->ReadStdoutToEnd(), "kept after a=b\n");
}

TEST(SubprocessTest, WaitForReturnsWhenTheChildEndsOrTheTimeIsUp) {
  auto child = Shell("exec sleep 1000");
  ASSERT_NE(child, nullptr);
  EXPECT_FALSE(child->WaitFor(absl::Milliseconds(10)).has_value());
  EXPECT_FALSE(child->Poll().has_value());
  child->Signal(SIGTERM);
  std::optional<ExitStatus> status = child->WaitFor(absl::Seconds(60));
  ASSERT_TRUE(status.has_value());
  EXPECT_TRUE(status->signaled);
  EXPECT_EQ(status->ToString(), "killed by signal 15 (SIGTERM)");
}

TEST(SubprocessTest, DestructorKillsAndReaps) {
  pid_t pid = -1;
  {
    auto child = Shell("exec sleep 1000");
    pid = child->pid();
  }
  EXPECT_EQ(kill(pid, 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST(SubprocessTest, ChildInheritsNeitherDescriptorsNorSignalState) {
  int leaked = dup(STDERR_FILENO);  // without O_CLOEXEC
  ASSERT_GT(leaked, 2);
  sigset_t block, before;
  sigemptyset(&block);
  sigaddset(&block, SIGTERM);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &block, &before), 0);
  auto child = Subprocess::Start(
      {.argv = {"/bin/sh", "-c", "ls /proc/self/fd; grep SigBlk /proc/self/status"}, .capture_stdout = true});
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  close(leaked);
  ASSERT_TRUE(child.ok());
  // 3 is the descriptor by which ls reads the folder.
  EXPECT_EQ(*(*child)->ReadStdoutToEnd(), "0\n1\n2\n3\nSigBlk:\t0000000000000000\n");
}

}  // namespace
}  // namespace attune
