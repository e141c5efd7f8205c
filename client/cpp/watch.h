// Follows a job to its end: every event exactly once and in order, through cut connections, server restarts and dropped
// metrics. Thread-safe.
//
//   absl::Status status = WatchJob(*client, "fineTuningJobs/j7k2", {}, [](const v1::JobEvent& event) {
//     Print(event);
//     return true;  // go on
//   });
//
// Errors: NOT_FOUND; UNAVAILABLE when the server stays away for max_attempts tries in a row. OK after the terminal
// event or when the callback returned false.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "client/cpp/client.h"

namespace attune::client {

struct WatchOptions {
  int64_t after_sequence = 0;  // last event that the caller already has; 0: from the beginning
  int max_attempts = 30;       // tries in a row that brought nothing; with the default waits about four minutes
  std::function<void(const absl::Status&)> on_cut;  // told before each new try
  std::function<void(const v1::FineTuningJob&)> on_waiting;  // told what a waiting job waits for, whenever that changes
};

// `on_event` returns false to stop watching.
absl::Status WatchJob(Client& client, const std::string& job, const WatchOptions& options,
                      const std::function<bool(const v1::JobEvent&)>& on_event);

// Waits for the end and returns the job as it is then. An unsuccessful job is no error here: look at its state.
absl::StatusOr<v1::FineTuningJob> WaitForJob(Client& client, const std::string& job);

}  // namespace attune::client
