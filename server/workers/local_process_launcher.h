// WorkerLauncher on this machine: each worker is a child process. One thread watches all of them: it reads their standard error line by line and notices
// exits through pidfds. Thread-safe.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto launcher, LocalProcessLauncher::Create({.worker_path = "/usr/bin/attune-worker", .server_address = "unix:/run/attune/w.sock"}));
//
// A worker is started as `worker_path --server ADDRESS --worker-id ID`, with its secret in the environment (ATTUNE_WORKER_SECRET): command lines are
// readable by everybody.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/workers/worker_launcher.h"

namespace attune::workers {

struct LocalProcessLauncherOptions {
  std::string worker_path;
  std::string server_address;  // where the worker dials
  std::vector<std::string> extra_args;
  std::vector<std::pair<std::string, std::string>> extra_env;
  size_t log_tail_lines = 40;  // kept of each worker
  bool forward_log = true;     // also write the workers' lines to this process's standard error
};

class LocalProcessLauncher final : public WorkerLauncher {
 public:
  // NOT_FOUND when there is no such program; INTERNAL when the kernel has no pidfd.
  static absl::StatusOr<std::unique_ptr<LocalProcessLauncher>> Create(LocalProcessLauncherOptions options);
  ~LocalProcessLauncher() override;

  absl::Status Launch(const LaunchRequest& request, ExitCallback on_exit) override;
  void Kill(const std::string& worker_id) override;
  std::vector<std::string> LogTail(const std::string& worker_id) override;

 private:
  struct Child;

  LocalProcessLauncher(LocalProcessLauncherOptions options, int wake_fd);
  void Watch();  // the thread
  void ReadLog(Child& child) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeLine(Child& child, std::string line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WakeWatcher();

  const LocalProcessLauncherOptions options_;
  const int wake_fd_;  // eventfd: the set of children changed
  absl::Mutex mutex_;
  std::map<std::string, std::unique_ptr<Child>> children_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread watcher_;
};

}  // namespace attune::workers
