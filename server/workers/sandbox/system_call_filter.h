// seccomp: the system calls that this process may make from now on. Filters add up and cannot be taken back; they bind every thread, and what is started later.
//
//   ATTUNE_RETURN_IF_ERROR(ForbidSystemCalls({.internet = false}));
//   ... connect ...
//   ATTUNE_RETURN_IF_ERROR(ForbidConnections());
//
// A forbidden call ends with EPERM (clone3 with ENOSYS, so that the C library uses clone, whose flags a filter can see), and the process goes on. x86-64 and AArch64. Errors are those of seccomp(2).
#pragma once

#include "absl/status/status.h"

namespace attune::workers {

struct SystemCallOptions {
  bool internet = false;  // sockets of IPv4 and IPv6 may be made, beside Unix ones
};

// Forbids what no worker needs: other programs and processes (exec, fork, ptrace, signals to others), mounts and namespaces, kernel modules, keys, BPF, io_uring, System V IPC, clocks, and sockets of other families.
absl::Status ForbidSystemCalls(const SystemCallOptions& options);

// Forbids connections beyond those there are: no connect, bind, listen or accept, and no datagrams to addresses.
absl::Status ForbidConnections();

}  // namespace attune::workers
