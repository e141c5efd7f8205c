// How a worker process lives and dies with its server. Free of torch and gRPC.
#pragma once

#include <cstdint>

namespace attune::training {

// What the process exits with, for the server's log.
inline constexpr int kExitUsage = 1;         // bad flags, or no connection at start
inline constexpr int kExitStreamLost = 3;    // the server is gone, or has cut the stream
inline constexpr int kExitDeviceLost = 4;    // after a fault of the device
inline constexpr int kExitSandbox = 5;       // the sandbox does not hold

// Has the kernel kill this process when the thread that started it ends, and exits at once when the parent is gone already.
void DieWithParent();

// Signals that a terminal or a service manager sends to the whole group are the server's to handle: it tells its workers to save and go.
void LeaveSignalsToTheServer();

// Keeps the process's data (heap, stacks, buffers) below what the server says in ATTUNE_WORKER_MEMORY (bytes): an allocation beyond it fails, and the attempt does with less. Nothing where
// that is not set. Once, before threads are started.
void LimitMemory();

int64_t ResidentBytes();  // of this process; 0 when unknown

}  // namespace attune::training
