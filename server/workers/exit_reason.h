// Why a worker is gone: one of a few reasons, and words that say what to do. Pure.
#pragma once

#include <array>
#include <string>

#include "server/base/subprocess.h"

namespace attune::workers {

enum class ExitReason {
  kClean,          // exited with code 0, suspended in the middle of its attempt or by itself without one
  kIdleShutdown,   // was told to exit while it had no attempt, or none any more
  kCrashed,        // by a signal (SIGSEGV, SIGABRT, ...), with an exit code other than 0, or without saying how its attempt ended
  kKilled,         // SIGKILL from elsewhere
  kOutOfMemory,    // SIGKILL, and the kernel has killed for want of memory
  kLostHeartbeat,  // silent for too long; the pool killed it
  kNotStopping,    // did not stop when told to; the pool killed it
  kProtocolError,  // said something that the protocol does not allow; the pool killed it
  kLaunchFailed,   // never said hello
};

inline constexpr std::array kExitReasons = {ExitReason::kClean,         ExitReason::kIdleShutdown, ExitReason::kCrashed,       ExitReason::kKilled,      ExitReason::kOutOfMemory,
                                            ExitReason::kLostHeartbeat, ExitReason::kNotStopping,  ExitReason::kProtocolError, ExitReason::kLaunchFailed};

// What the pool knows about a worker that is gone.
struct ExitFacts {
  bool said_hello = false;
  bool shutdown_requested = false;   // the pool told it to exit
  bool attempt_open = false;         // it held an attempt that had not ended
  bool heartbeat_expired = false;    // these three: the pool killed it for that
  bool stop_expired = false;
  bool protocol_error = false;
  bool memory_kill = false;          // the kernel killed some process for want of memory while it ran
  ExitStatus status;
};

ExitReason ClassifyExit(const ExitFacts& facts);

const char* ExitReasonName(ExitReason reason);  // "killed", for logs and metrics

// For people: "the worker was killed by signal 9 (SIGKILL): memory ran out; ..."
std::string DescribeExit(ExitReason reason, const ExitStatus& status);

}  // namespace attune::workers
