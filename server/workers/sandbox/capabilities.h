// The powers that a process has as root, beyond being the owner of files. Given up for good.
//
//   ATTUNE_RETURN_IF_ERROR(DropCapabilities(/*became_another_user=*/false));
#pragma once

#include "absl/status/status.h"

namespace attune::workers {

// Of every thread, those to pass over permissions of files excepted (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH): the server's files may belong to others, and Landlock says which may be opened. Without effect
// where there are none. Those that are kept lose their effect when root becomes another user, and get it back. Landlock itself lets a process with CAP_PERFMON read other processes' environments. Errors are those of capset(2) and of all_threads.h.
absl::Status DropCapabilities(bool became_another_user);

// The same for the calling thread: 0 or an errno. Async-signal-safe.
int DropCapabilitiesOfThisThread(int became_another_user);

}  // namespace attune::workers
