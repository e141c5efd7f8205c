#include "server/workers/exit_reason.h"

#include <csignal>

#include "server/base/str_cat.h"

namespace attune::workers {

ExitReason ClassifyExit(const ExitFacts& facts) {
  // What the pool itself did comes first: its SIGKILL is not the kernel's.
  if (facts.protocol_error) return ExitReason::kProtocolError;
  if (facts.heartbeat_expired) return facts.said_hello ? ExitReason::kLostHeartbeat : ExitReason::kLaunchFailed;
  if (facts.stop_expired) return ExitReason::kNotStopping;
  // One that was still starting cannot be asked to exit; the pool kills it.
  const bool let_go = facts.shutdown_requested && !facts.attempt_open;
  if (facts.status.signaled && facts.status.code == SIGKILL) {
    return let_go ? ExitReason::kIdleShutdown : facts.memory_kill ? ExitReason::kOutOfMemory : ExitReason::kKilled;
  }
  if (facts.status.signaled && facts.shutdown_requested && facts.status.code == SIGTERM) return ExitReason::kIdleShutdown;
  if (!facts.said_hello) return ExitReason::kLaunchFailed;
  if (facts.status.signaled || facts.status.code != 0) return ExitReason::kCrashed;
  if (facts.attempt_open && !facts.shutdown_requested) return ExitReason::kCrashed;  // left without a word
  return let_go ? ExitReason::kIdleShutdown : ExitReason::kClean;
}

const char* ExitReasonName(ExitReason reason) {
  switch (reason) {
    case ExitReason::kClean:
      return "clean";
    case ExitReason::kIdleShutdown:
      return "idle_shutdown";
    case ExitReason::kCrashed:
      return "crashed";
    case ExitReason::kKilled:
      return "killed";
    case ExitReason::kOutOfMemory:
      return "out_of_memory";
    case ExitReason::kLostHeartbeat:
      return "lost_heartbeat";
    case ExitReason::kNotStopping:
      return "not_stopping";
    case ExitReason::kProtocolError:
      return "protocol_error";
    case ExitReason::kLaunchFailed:
      return "launch_failed";
  }
  return "unknown";
}

std::string DescribeExit(ExitReason reason, const ExitStatus& status) {
  switch (reason) {
    case ExitReason::kClean:
      return "the worker exited before it said how the attempt ended";
    case ExitReason::kIdleShutdown:
      return "the worker was idle and was told to exit";
    case ExitReason::kCrashed:
      return StrCat("the worker ", status.ToString(), "; the end of its log says more");
    case ExitReason::kKilled:
      return StrCat("the worker was ", status.ToString(), " by something outside of Attune; if the machine is short of memory, a smaller batch_size or max_length needs less");
    case ExitReason::kOutOfMemory:
      return StrCat("the worker was ", status.ToString(), " by the kernel because memory ran out; a smaller batch_size or max_length needs less");
    case ExitReason::kLostHeartbeat:
      return "the worker gave no sign of life for too long and was killed; the machine may be overloaded, or the worker hung";
    case ExitReason::kNotStopping:
      return "the worker did not stop in time when it was asked to and was killed";
    case ExitReason::kProtocolError:
      return "the worker sent a message that makes no sense here and was killed; server and worker may be of different versions";
    case ExitReason::kLaunchFailed:
      return StrCat("the worker ", status.ToString(), " before it connected; the end of its log says more");
  }
  return "";
}

}  // namespace attune::workers
