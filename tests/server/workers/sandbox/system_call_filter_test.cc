#include "server/workers/sandbox/system_call_filter.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "server/base/files.h"
#include "tests/server/workers/sandbox/in_child.h"

namespace attune::workers {
namespace {

struct Attempt {
  const char* name;
  std::function<int()> call;
  int without = 0;  // errno where nothing is forbidden
};

void PrintTo(const Attempt& attempt, std::ostream* out) { *out << attempt.name; }

int Spawn() {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  if (child < 0) return errno;
  waitpid(child, nullptr, 0);
  return 0;
}

int Call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) { return ErrorOf(syscall(number, a, b, c, d, e)); }

class Forbidden : public ::testing::TestWithParam<Attempt> {
 protected:
  void SetUp() override {
    if (!AskKernel().system_call_filter) GTEST_SKIP() << AskKernel().missing;
  }
};

TEST_P(Forbidden, FailsWithTheFilterAlone) {
  EXPECT_EQ(InChild(GetParam().call), GetParam().without);
  EXPECT_EQ(InChild([] { return ForbidSystemCalls({}).ok() ? GetParam().call() : 250; }), EPERM);
}

TEST_P(Forbidden, FailsOnThreadsThatWereThere) {
  EXPECT_EQ(InChild([] {
              WaitingThreads threads(2);
              return ForbidSystemCalls({}).ok() ? threads.Run(GetParam().call)[1] : 250;
            }),
            EPERM);
}

// Calls of which each would do something, or fail otherwise, without the filter.
INSTANTIATE_TEST_SUITE_P(
    Calls, Forbidden,
    ::testing::Values(Attempt{"InternetSocket", [] { return ErrorOf(socket(AF_INET, SOCK_STREAM, 0)); }}, Attempt{"Internet6Socket", [] { return ErrorOf(socket(AF_INET6, SOCK_DGRAM, 0)); }},
                      Attempt{"NetlinkSocket", [] { return ErrorOf(socket(AF_NETLINK, SOCK_RAW, 0)); }}, Attempt{"UnixDatagrams", [] { return ErrorOf(socket(AF_UNIX, SOCK_DGRAM, 0)); }},
                      Attempt{"Ptrace", [] { return Call(SYS_ptrace, PTRACE_TRACEME); }}, Attempt{"Fork", Spawn},
                      Attempt{"Exec",
                              [] {
                                const char* arguments[] = {"/no/such/program", nullptr};
                                return ErrorOf(execve(arguments[0], const_cast<char**>(arguments), nullptr));
                              },
                              ENOENT},
                      Attempt{"Unshare", [] { return ErrorOf(unshare(0)); }}, Attempt{"SignalToTheParent", [] { return ErrorOf(kill(getppid(), 0)); }},
                      Attempt{"LimitsOfTheParent",
                              [] {
                                rlimit limit;
                                return ErrorOf(prlimit(getppid(), RLIMIT_NOFILE, nullptr, &limit));
                              }},
                      Attempt{"SharedMemory", [] { return ErrorOf(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) < 0 ? -1 : 0); }}, Attempt{"Mount", [] { return Call(SYS_mount, 0, 0, 0, 0, 0); }, EFAULT},
                      Attempt{"Rings", [] { return Call(SYS_io_uring_setup, 0); }, EFAULT}, Attempt{"Keys", [] { return Call(SYS_add_key, 0, 0, 0, 0, 0); }, EFAULT},
                      Attempt{"NewsOfFiles", [] { return ErrorOf(inotify_init1(0)); }}, Attempt{"Owners", [] { return ErrorOf(fchown(-1, 0, 0)); }, EBADF},
                      Attempt{"ReadingOthersMemory",
                              [] {
                                char byte = 0, source = 1;
                                iovec to = {&byte, 1}, from = {&source, 1};
                                return ErrorOf(process_vm_readv(getpid(), &to, 1, &from, 1, 0));
                              }},
                      Attempt{"PidDescriptors", [] { return Call(SYS_pidfd_open, getppid(), 0); }}, Attempt{"Modes", [] { return ErrorOf(fchmod(-1, 0777)); }, EBADF},
                      Attempt{"Handles", [] { return Call(SYS_open_by_handle_at, -1, 0, 0); }, EFAULT}),
    [](const auto& info) { return std::string(info.param.name); });

class SystemCallFilterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!AskKernel().system_call_filter) GTEST_SKIP() << AskKernel().missing;
  }
};

// What training and its stream to the server are made of.
TEST_F(SystemCallFilterTest, WhatAWorkerDoesStillWorks) {
  const TemporaryDirectory directory;
  EXPECT_EQ(InChild([&] {
              if (!ForbidSystemCalls({}).ok() || !ForbidConnections().ok()) return 1;
              int result = 0;
              std::thread([&] {
                result = ErrorOf(open("/proc/self/status", O_RDONLY));
                if (result == 0) result = ErrorOf(mkdir((directory.path() + "/made").c_str(), 0755));
              }).join();
              if (result != 0) return result;
              void* memory = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              if (memory == MAP_FAILED || madvise(memory, 1 << 20, MADV_HUGEPAGE) != 0) return 2;
              if (eventfd(0, EFD_CLOEXEC) < 0 || epoll_create1(EPOLL_CLOEXEC) < 0) return 3;
              rlimit limit;
              if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || setrlimit(RLIMIT_NOFILE, &limit) != 0) return 4;
              int ends[2];
              if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || send(ends[0], "x", 1, MSG_NOSIGNAL) != 1) return 5;
              if (kill(getpid(), 0) != 0) return 6;
              cpu_set_t cores;
              return ErrorOf(sched_getaffinity(0, sizeof(cores), &cores));
            }),
            0);
}

TEST_F(SystemCallFilterTest, TheInternetCanBeLeftOpenAndClosedLater) {
  const auto dial = [] { return ErrorOf(socket(AF_INET, SOCK_STREAM, 0)); };
  EXPECT_EQ(InChild([&] { return ForbidSystemCalls({.internet = true}).ok() ? dial() : 250; }), 0);
  EXPECT_EQ(InChild([&] { return ForbidSystemCalls({.internet = true}).ok() && ForbidConnections().ok() ? dial() : 250; }), EPERM);
}

// Another service of this machine, such as the one that starts containers.
TEST_F(SystemCallFilterTest, NoConnectionBeyondThoseThereAre) {
  const TemporaryDirectory directory;
  sockaddr_un address = {.sun_family = AF_UNIX};
  std::strncpy(address.sun_path, (directory.path() + "/s").c_str(), sizeof(address.sun_path) - 1);
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listener, 8), 0);
  const auto dial = [&] { return ErrorOf(connect(socket(AF_UNIX, SOCK_STREAM, 0), reinterpret_cast<const sockaddr*>(&address), sizeof(address))); };
  EXPECT_EQ(InChild([&] { return ForbidSystemCalls({}).ok() ? dial() : 250; }), 0);
  EXPECT_EQ(InChild([&] {
              const int early = socket(AF_UNIX, SOCK_STREAM, 0), open_one = socket(AF_UNIX, SOCK_STREAM, 0);
              if (connect(open_one, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return 1;
              if (!ForbidConnections().ok()) return 2;
              if (send(open_one, "x", 1, MSG_NOSIGNAL) != 1) return 3;
              if (ErrorOf(connect(early, reinterpret_cast<const sockaddr*>(&address), sizeof(address))) != EPERM) return 4;
              return dial();
            }),
            EPERM);
  close(listener);
}

}  // namespace
}  // namespace attune::workers
