#include "server/workers/sandbox/all_threads.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/server/workers/sandbox/in_child.h"

namespace attune::workers {
namespace {

thread_local int marked = 0;

int Mark(int value) {
  marked = value;
  return 0;
}

class AllThreadsTest : public ::testing::Test {
 protected:
  // A sanitizer's own threads answer no signals.
  void SetUp() override {
    if (BuiltWithSanitizer()) GTEST_SKIP() << AskKernel().missing;
  }
};

TEST_F(AllThreadsTest, EachThreadMakesTheCall) {
  EXPECT_EQ(InChild([] {
              WaitingThreads threads(20);
              if (!OnAllThreads(Mark, 7).ok() || marked != 7) return 1;
              for (const int value : threads.Run([] { return marked; })) {
                if (value != 7) return 2;
              }
              return 0;
            }),
            0);
}

// Threads come and go while the call is made; none of those that are there afterwards may have been missed.
TEST_F(AllThreadsTest, ThreadsThatAreStartedMeanwhileAreNotMissed) {
  EXPECT_EQ(InChild([] {
              std::atomic<bool> stop{false};
              std::atomic<int> missed{0}, started{0};
              std::atomic<bool> done{false};
              std::vector<std::thread> parents;
              for (int i = 0; i < 4; ++i) {
                parents.emplace_back([&] {
                  while (!stop) {
                    // What a thread is marked with is what its parent had, as with credentials.
                    const bool after = done;
                    const int inherited = marked;
                    std::thread([&, inherited] {
                      ++started;
                      marked = std::max(marked, inherited);
                    }).join();
                    if (after && marked != 9) ++missed;
                  }
                });
              }
              for (int seen = started; seen < 50; seen = started) std::this_thread::yield();
              const bool ok = OnAllThreads(Mark, 9).ok();
              done = true;
              for (int target = started + 50; started < target;) std::this_thread::yield();
              stop = true;
              for (std::thread& parent : parents) parent.join();
              return ok && missed == 0 ? 0 : 1;
            }),
            0);
}

TEST_F(AllThreadsTest, TheFirstErrorIsTold) {
  EXPECT_EQ(InChild([] {
              WaitingThreads threads(3);
              const absl::Status status = OnAllThreads([](int) { return EPERM; }, 0);
              threads.Run([] { return 0; });
              return status.code() == absl::StatusCode::kInternal && status.message().find("Operation not permitted") != std::string::npos ? 0 : 1;
            }),
            0);
}

TEST_F(AllThreadsTest, AThreadThatDoesNotAnswerIsAnError) {
  EXPECT_EQ(InChild([] {
              sigset_t all, before;
              sigfillset(&all);
              pthread_sigmask(SIG_SETMASK, &all, &before);
              WaitingThreads threads(1);  // inherits the mask
              pthread_sigmask(SIG_SETMASK, &before, nullptr);
              const absl::Status status = OnAllThreads(Mark, 1, absl::Milliseconds(200));
              threads.Run([] { return 0; });
              return absl::IsDeadlineExceeded(status) ? 0 : 1;
            }),
            0);
}

TEST_F(AllThreadsTest, TheSignalDoesNothingBetweenCalls) {
  EXPECT_EQ(InChild([] {
              if (!OnAllThreads(Mark, 3).ok()) return 1;
              raise(SIGRTMAX - 1);
              return marked == 3 ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace attune::workers
