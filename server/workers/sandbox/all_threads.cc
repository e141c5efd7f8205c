#include "server/workers/sandbox/all_threads.h"

#include <dirent.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <set>

#include "absl/time/clock.h"
#include "server/base/errno_status.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::workers {
namespace {

constexpr size_t kMostThreads = 8192;
constexpr absl::Duration kLookAgain = absl::Milliseconds(20);  // for threads that ended before they answered

struct Round {
  int (*call)(int);
  int argument;
  std::atomic<size_t> answers{0};
  std::array<std::atomic<pid_t>, kMostThreads> threads{};  // that have made the call; 0: not written yet
  std::atomic<int> error{0};
  sem_t answered;
};

std::atomic<Round*> the_round{nullptr};

pid_t ThreadId() { return static_cast<pid_t>(syscall(SYS_gettid)); }

void MakeCall(Round& round) {
  const int error = round.call(round.argument);
  int none = 0;
  if (error != 0) round.error.compare_exchange_strong(none, error);
  const size_t place = round.answers.fetch_add(1);
  if (place < kMostThreads) round.threads[place].store(ThreadId());
  sem_post(&round.answered);
}

void OnSignal(int) {
  const int saved = errno;
  if (Round* round = the_round.load(); round != nullptr) MakeCall(*round);
  errno = saved;
}

absl::StatusOr<std::set<pid_t>> Threads() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/self/task"), closedir);
  if (folder == nullptr) return ErrnoStatus(errno, "list the threads in", "/proc/self/task");
  std::set<pid_t> threads;
  while (const dirent* entry = readdir(folder.get())) {
    if (const pid_t thread = std::atoi(entry->d_name); thread > 0) threads.insert(thread);
  }
  return threads;
}

std::set<pid_t> Done(const Round& round) {
  std::set<pid_t> done;
  for (size_t i = 0; i < std::min(round.answers.load(), kMostThreads); ++i) done.insert(round.threads[i].load());
  return done;
}

void AwaitAnswer(Round& round, absl::Time until) {
  const timespec time = absl::ToTimespec(until);
  // Interrupted or too late: the caller looks at what there is.
  [[maybe_unused]] const int waited = sem_clockwait(&round.answered, CLOCK_REALTIME, &time);
}

// Interrupts threads until two listings in a row show only such as have made the call: one listing may miss a thread while others end.
absl::Status Sweep(Round& round, int signal_number, absl::Time deadline) {
  std::set<pid_t> asked;
  int clean = 0;
  while (clean < 2) {
    ATTUNE_ASSIGN_OR_RETURN(const std::set<pid_t> threads, Threads());
    const std::set<pid_t> done = Done(round);
    pid_t waits_for = 0;
    for (const pid_t thread : threads) {
      if (done.count(thread) != 0) continue;
      waits_for = thread;
      if (asked.insert(thread).second) syscall(SYS_tgkill, getpid(), thread, signal_number);  // ESRCH: it has ended, and the next listing says so
    }
    clean = waits_for == 0 ? clean + 1 : 0;
    if (round.error.load() != 0) return ErrnoStatus(round.error.load(), "restrict", "a thread of this process");
    if (waits_for == 0) continue;
    const absl::Time now = absl::Now();
    if (now >= deadline) return absl::DeadlineExceededError(StrCat("thread ", waits_for, " of this process does not answer a signal, so it can't be restricted"));
    AwaitAnswer(round, std::min(now + kLookAgain, deadline));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status OnAllThreads(int (*call)(int), int argument, absl::Duration timeout) {
  const int signal_number = SIGRTMAX - 1;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  if (sigaction(signal_number, &action, nullptr) != 0) return ErrnoStatus(errno, "handle", "a real-time signal");
  // Never freed: a signal that arrives late still finds it.
  Round& round = *new Round{.call = call, .argument = argument};
  sem_init(&round.answered, /*pshared=*/0, 0);
  MakeCall(round);
  the_round = &round;
  const absl::Status status = Sweep(round, signal_number, absl::Now() + timeout);
  the_round = nullptr;
  return status;
}

}  // namespace attune::workers
