// Predicts for images in files, any number of them: they are read as they are sent, so no more than one call's are held.
// Thread-safe (each call stands for itself).
//
//   ATTUNE_ASSIGN_OR_RETURN(v1::PredictResponse answer, PredictImageFiles(*client, "fineTuningJobs/j1", {"a.jpg"}));
//
// Errors: NOT_FOUND, or INVALID_ARGUMENT for a file that is over 16 MiB or no file; the server's otherwise.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/prediction.pb.h"
#include "client/cpp/client.h"

namespace attune::client {

// One prediction for each file, in order. `checkpoint` as in PredictRequest; when it is moved on meanwhile (the best
// may), all files are still judged by the one that answered first. `views` as in PredictRequest.
absl::StatusOr<v1::PredictResponse> PredictImageFiles(Client& client, const std::string& checkpoint,
                                                      const std::vector<std::string>& paths, int views = 0);

}  // namespace attune::client
