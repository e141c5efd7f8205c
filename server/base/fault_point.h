// FaultPoint: a named place where a test can make the process die as if the power had gone, to see what the next process finds. Nothing happens unless the environment says so:
//
//   ATTUNE_FAULT_POINT=server/rename.after#3     the third arrival there in an attune-server
//   ATTUNE_FAULT_POINT=worker/*#120              the 120th arrival at any point in an attune-worker
//   ATTUNE_FAULT_TOKEN=path                      required: the process that removes this file dies, so it happens once; without the file nobody does
//
// Unarmed, a call is the load of a flag. Thread-safe. Used by tests/crash.
#pragma once

#include <string_view>

namespace attune {

// Reads the environment; in main, before threads. Programs that never call this are never armed. `program`: "server" or "worker".
void ArmFaultPoints(std::string_view program);

bool FaultPointsArmed();

// May not return.
void FaultPoint(std::string_view name);

}  // namespace attune
