// See README.md. Started as attune-worker is; --describe is answered by the real one, which ATTUNE_REAL_WORKER names.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <variant>

#include "server/base/str_cat.h"
#include "server/training/worker/command_files.h"
#include "server/training/worker/enter_sandbox.h"
#include "server/training/worker/process_guard.h"
#include "server/training/worker/worker_channel.h"

namespace attune::training {
namespace {

int ErrorOf(int result) { return result < 0 ? errno : 0; }

int Open(const std::string& path, int flags) {
  const int file = open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (file < 0) return errno;
  char byte;
  const int error = (flags & O_ACCMODE) == O_RDONLY ? ErrorOf(static_cast<int>(read(file, &byte, 1))) : 0;
  close(file);
  return error;
}

int Dial(int port) {
  const int dialled = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (dialled < 0) return errno;
  const sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(static_cast<uint16_t>(port)), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  const int error = ErrorOf(connect(dialled, reinterpret_cast<const sockaddr*>(&address), sizeof(address)));
  close(dialled);
  return error;
}

int Run(const std::string& program) {
  char* arguments[] = {const_cast<char*>(program.c_str()), nullptr};
  pid_t child = 0;
  const int error = posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, environ);
  if (error == 0) waitpid(child, nullptr, 0);
  return error;
}

int Try(const std::string& what, const std::string& target, const std::string& output_dir) {
  if (what == "read") return Open(target, O_RDONLY);
  if (what == "write") return Open(target, O_WRONLY | O_CREAT);
  if (what == "link") return ErrorOf(symlink(target.c_str(), StrCat(output_dir, "/link").c_str()));
  if (what == "run") return Run(target);
  if (what == "dial") return Dial(std::atoi(target.c_str()));
  if (what == "signal") return ErrorOf(kill(std::atoi(target.c_str()), 0));
  return EINVAL;
}

// A thread that was there before the worker knew its job.
class EarlyThread {
 public:
  EarlyThread() : thread_([this] {
    go_.wait(false);
    error_ = call_();
  }) {}
  int Run(std::function<int()> call) {
    call_ = std::move(call);
    go_ = true;
    go_.notify_all();
    thread_.join();
    return error_;
  }

 private:
  std::atomic<bool> go_{false};
  std::function<int()> call_;
  int error_ = 0;
  std::thread thread_;
};

std::string Report(const AssignCommand& command, EarlyThread& early) {
  std::ifstream attempts(command.paths.dataset_dir + "/attempts");
  std::string report, line, first;
  while (std::getline(attempts, line)) {
    if (first.empty()) first = line;
    std::istringstream words(line);
    std::string what, target;
    words >> what >> target;
    const int error = Try(what, target, command.paths.output_dir);
    StrAppend(&report, line, ": ", error == 0 ? "done" : std::strerror(error), "\n");
  }
  const int error = early.Run([&] { return Open(first.substr(first.find(' ') + 1), O_RDONLY); });
  return StrCat(report, "early thread: ", error == 0 ? "done" : std::strerror(error), "\n");
}

int Serve(const std::string& server, const std::string& worker_id, const std::string& secret) {
  DieWithParent();
  LeaveSignalsToTheServer();
  auto sandbox = EnterSandbox(server);
  if (!sandbox.ok()) return kExitSandbox;
  auto channel = WorkerChannel::Connect({.server = server, .worker_id = worker_id, .secret = secret});
  if (!channel.ok() || !sandbox->CloseConnections().ok()) return kExitUsage;
  EarlyThread early;
  const Command command = (*channel)->NextCommand();
  std::string report = "nothing was assigned";
  if (const auto* assign = std::get_if<AssignCommand>(&command)) {
    report = sandbox->Bind(FilesOf(command)).ok() ? Report(*assign, early) : "it could not be bound";
    (*channel)->Send(assign->fence, FailureReport{.category = FailureCategory::kUser, .code = 3, .message = report});
  } else {
    early.Run([] { return 0; });
  }
  (*channel)->Close();
  return 0;
}

}  // namespace
}  // namespace attune::training

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--describe") == 0) {
    const char* real = std::getenv("ATTUNE_REAL_WORKER");
    if (real != nullptr) execv(real, argv);
    return 1;
  }
  const char* secret = std::getenv("ATTUNE_WORKER_SECRET");
  if (argc != 5 || secret == nullptr) return 1;
  return attune::training::Serve(argv[2], argv[4], secret);
}
