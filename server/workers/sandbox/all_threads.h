// Runs a system call in every thread of this process. For what binds the calling thread alone where the whole process must be bound (Landlock), as glibc does for setuid.
//
//   ATTUNE_RETURN_IF_ERROR(OnAllThreads([](int fd) { return Restrict(fd) == 0 ? 0 : errno; }, fd));
//
// Each thread is interrupted by a real-time signal (SIGRTMAX - 1, which is this function's alone from then on) and makes the call in its handler; that is repeated until no thread is left that has not.
// System calls that wait may end with EINTR. Threads that are started meanwhile or later inherit what the call did to the one that starts them.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace attune::workers {

// `call` must be async-signal-safe; it returns 0 or an errno. One OnAllThreads at a time. DEADLINE_EXCEEDED when a thread does not answer (it blocks the signal, or a debugger holds it), otherwise the first
// error of a call; after an error some threads have made the call and others have not.
absl::Status OnAllThreads(int (*call)(int), int argument, absl::Duration timeout = absl::Seconds(10));

}  // namespace attune::workers
