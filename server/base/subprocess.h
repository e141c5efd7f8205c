// A child process started with posix_spawn (never fork: OpenMP would hang). Passive: it does not watch itself; whoever
// owns it waits on it. Not thread-safe. The child reads /dev/null, has no other descriptor of this process than its
// standard output and error, default signal handling and no blocked signals. Errors of Start: NOT_FOUND when argv[0] (a
// path; PATH is not searched) is not there.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto child, Subprocess::Start({.argv = {"/usr/bin/attune-worker", "--describe"},
//   .capture_stdout = true})); ATTUNE_ASSIGN_OR_RETURN(std::string out, child->ReadStdoutToEnd()); ExitStatus status =
//   child->Wait();
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace attune {

struct ExitStatus {
  bool signaled = false;
  int code = 0;                  // exit code, or the signal's number
  std::string ToString() const;  // "exited with code 3", "killed by signal 9 (SIGKILL)"
};

struct SubprocessOptions {
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> extra_env;  // on top of this process's environment
  bool capture_stdout = false;
  bool capture_stderr = false;  // read with stderr_fd(); a full pipe stops the child
};

class Subprocess {
 public:
  static absl::StatusOr<std::unique_ptr<Subprocess>> Start(const SubprocessOptions& options);
  // Kills (SIGKILL) and reaps a child that still runs.
  ~Subprocess();
  pid_t pid() const { return pid_; }
  int stdout_fd() const { return stdout_fd_; }  // -1 unless captured
  int stderr_fd() const { return stderr_fd_; }  // -1 unless captured
  // RESOURCE_EXHAUSTED when there is more.
  absl::StatusOr<std::string> ReadStdoutToEnd(size_t max_bytes = 16 << 20);
  // An exit code of -1 means that the child was reaped by somebody else and its status is lost.
  std::optional<ExitStatus> Poll();  // does not block
  ExitStatus Wait();
  std::optional<ExitStatus> WaitFor(absl::Duration timeout);
  void Signal(int signal_number);  // ignored once reaped

 private:
  Subprocess() = default;
  pid_t pid_ = -1;
  int stdout_fd_ = -1;
  int stderr_fd_ = -1;
  std::optional<ExitStatus> exit_;
};

}  // namespace attune
