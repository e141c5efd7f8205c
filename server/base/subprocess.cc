#include "server/base/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>  // sigabbrev_np
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "absl/time/clock.h"
#include "server/base/errno_status.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

extern char** environ;

namespace attune {
namespace {

// Closes what it still holds.
struct Pipe {
  int read_end = -1;
  int write_end = -1;
  ~Pipe() {
    if (read_end >= 0) close(read_end);
    if (write_end >= 0) close(write_end);
  }
  absl::Status Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "open", "pipe");
    read_end = ends[0];
    write_end = ends[1];
    return absl::OkStatus();
  }
  int TakeReadEnd() { return std::exchange(read_end, -1); }
};

// What posix_spawn needs, freed again.
struct SpawnSettings {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  SpawnSettings() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  void Prepare(const Pipe& out, const Pipe& err) {
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (out.write_end >= 0) posix_spawn_file_actions_adddup2(&actions, out.write_end, STDOUT_FILENO);
    if (err.write_end >= 0) posix_spawn_file_actions_adddup2(&actions, err.write_end, STDERR_FILENO);
    // Descriptors that some library opened without O_CLOEXEC (listening sockets!) must not live on in the child.
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    // The server blocks SIGTERM and ignores SIGPIPE; a child must not inherit that.
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
};

std::vector<std::string> MergedEnvironment(const std::vector<std::pair<std::string, std::string>>& extra) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    std::string_view text = *entry;
    size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    variables[std::string(text.substr(0, equals))] = text.substr(equals + 1);
  }
  for (const auto& [name, value] : extra) variables[name] = value;
  std::vector<std::string> merged;
  for (const auto& [name, value] : variables) merged.push_back(StrCat(name, "=", value));
  return merged;
}

std::vector<char*> PointersTo(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

ExitStatus FromWaitStatus(int status) {
  if (WIFSIGNALED(status)) return {.signaled = true, .code = WTERMSIG(status)};
  return {.signaled = false, .code = WEXITSTATUS(status)};
}

}  // namespace

std::string ExitStatus::ToString() const {
  if (!signaled) return StrCat("exited with code ", code);
  const char* name = sigabbrev_np(code);
  return name == nullptr ? StrCat("killed by signal ", code) : StrCat("killed by signal ", code, " (SIG", name, ")");
}

absl::StatusOr<std::unique_ptr<Subprocess>> Subprocess::Start(const SubprocessOptions& options) {
  if (options.argv.empty()) return absl::InvalidArgumentError("cannot start a process: argv is empty");
  Pipe out, err;
  if (options.capture_stdout) ATTUNE_RETURN_IF_ERROR(out.Open());
  if (options.capture_stderr) ATTUNE_RETURN_IF_ERROR(err.Open());
  SpawnSettings settings;
  settings.Prepare(out, err);

  std::vector<std::string> arguments = options.argv;
  std::vector<std::string> environment = MergedEnvironment(options.extra_env);
  pid_t pid = -1;
  int error = posix_spawn(&pid, arguments[0].c_str(), &settings.actions, &settings.attributes,
                          PointersTo(arguments).data(), PointersTo(environment).data());
  if (error != 0) return ErrnoStatus(error, "start", arguments[0]);

  std::unique_ptr<Subprocess> child(new Subprocess);
  child->pid_ = pid;
  child->stdout_fd_ = out.TakeReadEnd();
  child->stderr_fd_ = err.TakeReadEnd();
  return child;
}

Subprocess::~Subprocess() {
  if (!Poll().has_value()) {
    Signal(SIGKILL);
    Wait();
  }
  if (stdout_fd_ >= 0) close(stdout_fd_);
  if (stderr_fd_ >= 0) close(stderr_fd_);
}

absl::StatusOr<std::string> Subprocess::ReadStdoutToEnd(size_t max_bytes) {
  if (stdout_fd_ < 0) return absl::FailedPreconditionError("the process was started without capture_stdout");
  std::string output;
  char buffer[16 << 10];
  for (;;) {
    ssize_t got = read(stdout_fd_, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "read", "standard output of a child process");
    if (got == 0) return output;
    if (static_cast<size_t>(got) > max_bytes - output.size()) {
      return absl::ResourceExhaustedError(StrCat("a child process wrote more than ", max_bytes, " bytes"));
    }
    output.append(buffer, static_cast<size_t>(got));
  }
}

std::optional<ExitStatus> Subprocess::Poll() {
  if (exit_.has_value()) return exit_;
  int status = 0;
  pid_t reaped = 0;
  do {
    reaped = waitpid(pid_, &status, WNOHANG);
  } while (reaped < 0 && errno == EINTR);
  if (reaped == pid_) exit_ = FromWaitStatus(status);
  // ECHILD: someone else reaped it, or SIGCHLD is ignored. It is gone, and its status with it.
  if (reaped < 0) exit_ = ExitStatus{.signaled = false, .code = -1};
  return exit_;
}

ExitStatus Subprocess::Wait() {
  if (exit_.has_value()) return *exit_;
  int status = 0;
  pid_t reaped = 0;
  do {
    reaped = waitpid(pid_, &status, 0);
  } while (reaped < 0 && errno == EINTR);
  exit_ = reaped == pid_ ? FromWaitStatus(status) : ExitStatus{.signaled = false, .code = -1};
  return *exit_;
}

std::optional<ExitStatus> Subprocess::WaitFor(absl::Duration timeout) {
  if (Poll().has_value()) return exit_;
  int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  const absl::Time deadline = absl::Now() + timeout;
  while (!Poll().has_value()) {
    absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) break;
    // Kernels before 5.3 have no pidfd; there, look every few milliseconds (poll ignores a negative descriptor).
    absl::Duration step = pidfd >= 0 ? absl::Hours(1) : absl::Milliseconds(5);
    pollfd entry = {.fd = pidfd, .events = POLLIN, .revents = 0};
    poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(std::min(left, step))) + 1);
  }
  if (pidfd >= 0) close(pidfd);
  return exit_;
}

void Subprocess::Signal(int signal_number) {
  if (!exit_.has_value()) kill(pid_, signal_number);
}

}  // namespace attune
