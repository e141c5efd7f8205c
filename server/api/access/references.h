// Which resources a request speaks of: all text in it that has the form of a name of one (uploads/..., datasets/..., models/..., fineTuningJobs/...), in whatever field, but for fields of free text. So a
// field that is added later is looked at without anybody thinking of it. Pure; thread-safe.
//
//   for (const std::string& name : ReferencesIn(request)) ...   // "datasets/reviews", "fineTuningJobs/j2x"
#pragma once

#include <set>
#include <string>

#include "google/protobuf/message.h"

namespace attune::api {

// Names of whole resources: of "fineTuningJobs/j2x/checkpoints/best" the job. What comes after the second '/' decides nothing.
std::set<std::string> ReferencesIn(const google::protobuf::Message& request);

}  // namespace attune::api
