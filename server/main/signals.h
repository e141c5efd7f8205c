// Signals of the process. BlockStopSignals is called before any thread is started, so that only WatchStopSignals' thread gets them.
//
//   BlockStopSignals();
//   ... Create ...
//   WatchStopSignals([&] { server->RequestShutdown(); });
//   server->Wait();
#pragma once

#include <functional>

namespace attune {

// Blocks SIGTERM and SIGINT in this thread and those that it starts, and ignores SIGPIPE. (Child processes start with a clean mask.)
void BlockStopSignals();

// The first SIGTERM or SIGINT calls `stop`, from a thread of its own that lives as long as the process; the second ends the process at once with exit code
// 128 + its number.
void WatchStopSignals(std::function<void()> stop);

}  // namespace attune
