// The life of a worker: waits for commands and runs them on the calling thread, one at a time, until it is told to go.
#pragma once

#include "server/base/files.h"
#include "server/training/worker/worker_channel.h"
#include "server/workers/sandbox/sandbox.h"

namespace attune::training {

// Returns the process's exit code; the channel is closed by then. An attempt that was cut short by a shutdown leaves a checkpoint and says nothing: the server gives
// the job to another worker. The first command binds the process to its files: one for others is refused, and ends the process.
int RunWorker(WorkerChannel& channel, Files& files, workers::Sandbox& sandbox);

}  // namespace attune::training
