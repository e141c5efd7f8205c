// WorkerLauncher: starts worker processes somewhere and tells when they are gone. Interface: local_process_launcher starts them on this machine; tests have a
// scripted one. Thread-safe. Owned by main, must outlive the pool.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/base/subprocess.h"

namespace attune::workers {

struct LaunchRequest {
  std::string worker_id;
  std::string secret;  // the worker proves with it that it is the one that was launched
};

class WorkerLauncher {
 public:
  // Called once for each successful Launch, from the launcher's thread; may call Launch and Kill.
  using ExitCallback = std::function<void(const std::string& worker_id, const ExitStatus& status, std::vector<std::string> log_tail)>;

  virtual ~WorkerLauncher() = default;  // kills what still runs; no callback runs after it returns
  virtual absl::Status Launch(const LaunchRequest& request, ExitCallback on_exit) = 0;
  // SIGKILL or its like. Unknown ids are ignored.
  virtual void Kill(const std::string& worker_id) = 0;
  // The last lines that the worker wrote to standard error; empty for unknown ids.
  virtual std::vector<std::string> LogTail(const std::string& worker_id) = 0;
};

}  // namespace attune::workers
