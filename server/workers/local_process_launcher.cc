#include "server/workers/local_process_launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <utility>

#include "nlohmann/json.hpp"
#include "server/base/errno_status.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::workers {
namespace {

constexpr size_t kMaxLineBytes = 4096;  // of a log line; the rest is cut

// What a worker writes with Log() goes on as the JSON that it is, at its own level; what others write there, libraries above all, as text.
void ForwardLine(const std::string& worker_id, const std::string& line) {
  LogLevel level = LogLevel::kInfo;
  LogValue value(line);
  if (const nlohmann::json parsed = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false); parsed.is_object()) {
    value.json = parsed.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    const auto said = parsed.find("level");
    if (said != parsed.end() && *said == "error") level = LogLevel::kError;
    if (said != parsed.end() && *said == "warning") level = LogLevel::kWarning;
    if (said != parsed.end() && *said == "debug") level = LogLevel::kDebug;
  }
  Log(level, "worker", {{"worker", worker_id}, {"line", value}});
}

// glibc 2.36's header declares its wrapper without extern "C".
int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

}  // namespace

struct LocalProcessLauncher::Child {
  std::string worker_id;
  std::unique_ptr<Subprocess> process;
  int pidfd = -1;
  ExitCallback on_exit;
  std::deque<std::string> log_tail;
  std::string partial_line;
  bool log_open = true;

  ~Child() {
    if (pidfd >= 0) close(pidfd);
  }
};

absl::StatusOr<std::unique_ptr<LocalProcessLauncher>> LocalProcessLauncher::Create(LocalProcessLauncherOptions options) {
  if (access(options.worker_path.c_str(), X_OK) != 0) {
    return absl::NotFoundError(StrCat("there is no program ", options.worker_path, "; say where attune-worker is"));
  }
  int probe = PidfdOpen(getpid());
  if (probe < 0) return ErrnoStatus(errno, "pidfd_open (needs Linux 5.3 or later)", "self");
  close(probe);
  int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) return ErrnoStatus(errno, "eventfd", "launcher");
  return std::unique_ptr<LocalProcessLauncher>(new LocalProcessLauncher(std::move(options), wake_fd));
}

LocalProcessLauncher::LocalProcessLauncher(LocalProcessLauncherOptions options, int wake_fd)
    : options_(std::move(options)), wake_fd_(wake_fd), watcher_([this] { Watch(); }) {}

LocalProcessLauncher::~LocalProcessLauncher() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  WakeWatcher();
  watcher_.join();
  close(wake_fd_);
  // Children that still run are killed and reaped by their Subprocess.
}

absl::Status LocalProcessLauncher::Launch(const LaunchRequest& request, ExitCallback on_exit) {
  SubprocessOptions options;
  options.argv = {options_.worker_path, "--server", options_.server_address, "--worker-id", request.worker_id};
  options.argv.insert(options.argv.end(), options_.extra_args.begin(), options_.extra_args.end());
  options.extra_env = options_.extra_env;
  options.extra_env.emplace_back("ATTUNE_WORKER_SECRET", request.secret);
  options.capture_stderr = true;
  auto child = std::make_unique<Child>();
  child->worker_id = request.worker_id;
  child->on_exit = std::move(on_exit);
  ATTUNE_ASSIGN_OR_RETURN(child->process, Subprocess::Start(options));
  // The child is not reaped by anybody else, so its pid cannot have been given away again.
  child->pidfd = PidfdOpen(child->process->pid());
  if (child->pidfd < 0) return ErrnoStatus(errno, "pidfd_open", options_.worker_path);
  int flags = fcntl(child->process->stderr_fd(), F_GETFL);
  fcntl(child->process->stderr_fd(), F_SETFL, flags | O_NONBLOCK);
  {
    absl::MutexLock lock(&mutex_);
    children_[request.worker_id] = std::move(child);
  }
  WakeWatcher();
  return absl::OkStatus();
}

void LocalProcessLauncher::Kill(const std::string& worker_id) {
  absl::MutexLock lock(&mutex_);
  auto found = children_.find(worker_id);
  if (found != children_.end()) found->second->process->Signal(SIGKILL);
}

std::vector<std::string> LocalProcessLauncher::LogTail(const std::string& worker_id) {
  absl::MutexLock lock(&mutex_);
  auto found = children_.find(worker_id);
  if (found == children_.end()) return {};
  ReadLog(*found->second);  // what is in the pipe already
  return {found->second->log_tail.begin(), found->second->log_tail.end()};
}

void LocalProcessLauncher::WakeWatcher() {
  uint64_t one = 1;
  // Fails only when the counter is full, and then the watcher is awake anyway.
  [[maybe_unused]] ssize_t written = write(wake_fd_, &one, sizeof(one));
}

void LocalProcessLauncher::Watch() {
  while (true) {
    std::vector<struct pollfd> fds = {{wake_fd_, POLLIN, 0}};
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return;
      for (const auto& [id, child] : children_) {
        fds.push_back({child->pidfd, POLLIN, 0});
        if (child->log_open) fds.push_back({child->process->stderr_fd(), POLLIN, 0});
      }
    }
    if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) {
      Log(LogLevel::kError, "workers are not watched any more", {{"error", ErrnoStatus(errno, "poll", "workers").ToString()}});
      return;
    }
    uint64_t count;
    [[maybe_unused]] ssize_t drained = read(wake_fd_, &count, sizeof(count));
    std::vector<std::pair<std::unique_ptr<Child>, ExitStatus>> gone;
    {
      absl::MutexLock lock(&mutex_);
      for (auto it = children_.begin(); it != children_.end();) {
        Child& child = *it->second;
        // The exit first: whatever it wrote before is in the pipe by then.
        std::optional<ExitStatus> status = child.process->Poll();
        if (child.log_open) ReadLog(child);
        if (!status.has_value()) {
          ++it;
          continue;
        }
        if (!child.partial_line.empty()) TakeLine(child, std::exchange(child.partial_line, ""));
        gone.emplace_back(std::move(it->second), *status);
        it = children_.erase(it);
      }
    }
    for (auto& [child, status] : gone) {
      child->on_exit(child->worker_id, status, {child->log_tail.begin(), child->log_tail.end()});
    }
  }
}

void LocalProcessLauncher::ReadLog(Child& child) {
  char buffer[1 << 14];
  while (child.log_open) {
    ssize_t got = read(child.process->stderr_fd(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      child.log_open = false;
      return;
    }
    for (ssize_t i = 0; i < got; ++i) {
      if (buffer[i] == '\n') {
        TakeLine(child, std::exchange(child.partial_line, ""));
      } else if (child.partial_line.size() < kMaxLineBytes) {
        child.partial_line += buffer[i];
      }
    }
  }
}

void LocalProcessLauncher::TakeLine(Child& child, std::string line) {
  if (options_.forward_log) ForwardLine(child.worker_id, line);
  child.log_tail.push_back(std::move(line));
  if (child.log_tail.size() > options_.log_tail_lines) child.log_tail.pop_front();
}

}  // namespace attune::workers
