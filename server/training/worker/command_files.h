// The server's files that a command needs, and that a worker may therefore open. Pure.
//
//   ATTUNE_RETURN_IF_ERROR(sandbox.Bind(FilesOf(command)));
#pragma once

#include "server/training/worker/commands.h"
#include "server/workers/sandbox/file_rules.h"

namespace attune::training {

// Of a shutdown: none.
workers::FileGrants FilesOf(const Command& command);

}  // namespace attune::training
