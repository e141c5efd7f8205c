// Checkpoints, predictions and the server for people. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "attune/v1/checkpoint.pb.h"
#include "attune/v1/prediction.pb.h"
#include "attune/v1/system.pb.h"
#include "client/cli/render/style.h"

namespace attune::cli {

std::string CheckpointTable(const std::vector<v1::Checkpoint>& checkpoints, absl::Time now, const Style& style);

// One line for each input: what is predicted, how surely, and the input: a text, or the name of an image, as `title`
// ("TEXT") says. With `all_scores` also every class.
std::string PredictionTable(const std::string& title, const std::vector<std::string>& inputs,
                            const v1::PredictResponse& response, bool all_scores, const Style& style);

std::string ServerText(const v1::ServerInfo& info, const v1::ListDevicesResponse& devices, absl::Time now,
                       const Style& style);

}  // namespace attune::cli
