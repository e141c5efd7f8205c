#include "server/training/worker/process_guard.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "server/base/log.h"

namespace attune::training {

void DieWithParent() {
  const pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before the line above took effect: then another process has adopted us.
  if (getppid() != parent) std::_Exit(kExitStreamLost);
}

void LeaveSignalsToTheServer() {
  for (int signal_number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(signal_number, SIG_IGN);
}

void LimitMemory() {
  const char* text = std::getenv("ATTUNE_WORKER_MEMORY");
  if (text == nullptr) return;
  const rlim_t bytes = std::strtoull(text, nullptr, 10);
  const rlimit limit = {bytes, bytes};
  if (bytes == 0 || setrlimit(RLIMIT_DATA, &limit) != 0) Log(LogLevel::kWarning, "the memory limit could not be set", {{"ATTUNE_WORKER_MEMORY", text}});
}

int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0, resident = 0;
  if (!(file >> total >> resident)) return 0;
  return resident * sysconf(_SC_PAGE_SIZE);
}

}  // namespace attune::training
