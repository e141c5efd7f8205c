// Runs a test's body in a child process, which may restrict itself for good. Header-only.
//
//   EXPECT_EQ(InChild([&] { return ErrorOf(open(path, O_RDONLY)); }), 0);
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

#include "server/workers/sandbox/capability.h"

namespace attune::workers {

inline constexpr int kKilled = 1000;  // added to the signal's number

// What `body` returns, up to 255; kKilled and more when a signal ended it.
inline int InChild(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kKilled + WTERMSIG(status);
}

// errno where a call failed, otherwise 0.
inline int ErrorOf(long result) { return result < 0 ? errno : 0; }

// What `call` returns on each of some threads that were there, waiting, when the constructor returned.
class WaitingThreads {
 public:
  explicit WaitingThreads(size_t count) : results_(count, -1) {
    for (size_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, i] {
        ++running_;
        running_.notify_all();
        go_.wait(false);
        results_[i] = call_();
      });
    }
    for (size_t seen = running_; seen < count; seen = running_) running_.wait(seen);
  }
  std::vector<int> Run(std::function<int()> call) {
    call_ = std::move(call);
    go_ = true;
    go_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    return results_;
  }

 private:
  std::atomic<size_t> running_{0};
  std::atomic<bool> go_{false};
  std::function<int()> call_;
  std::vector<int> results_;
  std::vector<std::thread> threads_;
};

}  // namespace attune::workers
