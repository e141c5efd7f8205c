// What a worker says of its attempt, held against what can be. A worker is our own program, but it reads what others
// uploaded; what it says is added up, kept with the job, and handed on to further attempts and to clients, so it is
// bounded where it comes in. Pure.
//
//   if (std::string fault = Bound(message); !fault.empty()) ...   // nobody should act on it
//   RetryOrFail(live, Bounded(failed));
#pragma once

#include <string>

#include "attune/worker/v1/worker.pb.h"

namespace attune::scheduler {

// Moves figures to the nearest that make sense (a time that is no number is 0, which means unknown). Says what is
// wrong, for the job's events, where the message as a whole makes no sense: a checkpoint before the first step, or a
// change that no worker makes.
std::string Bound(worker::v1::ConnectRequest& message);

// The same; an unknown category is the system's, and an unknown code INTERNAL.
worker::v1::Failed Bounded(worker::v1::Failed failed);

}  // namespace attune::scheduler
