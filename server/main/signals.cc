#include "server/main/signals.h"

#include <signal.h>
#include <string.h>  // sigabbrev_np
#include <unistd.h>

#include <thread>
#include <utility>

#include "server/base/log.h"

namespace attune {
namespace {

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

int WaitForSignal(const sigset_t& set) {
  int number = 0;
  while (sigwait(&set, &number) != 0) {
  }
  return number;
}

}  // namespace

void BlockStopSignals() {
  sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void WatchStopSignals(std::function<void()> stop) {
  std::thread([stop = std::move(stop)] {
    sigset_t set = StopSignals();
    int first = WaitForSignal(set);
    Log(LogLevel::kInfo, "stopping; a second signal ends the process at once", {{"signal", sigabbrev_np(first)}});
    stop();
    int second = WaitForSignal(set);
    Log(LogLevel::kWarning, "stopped by a second signal", {{"signal", sigabbrev_np(second)}});
    _exit(128 + second);
  }).detach();
}

}  // namespace attune
