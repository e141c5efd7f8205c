// A server with a job of three checkpoints, and a helper job that trains from one of them to the next: what tests of verify-resume script. Header-only.
#pragma once

#include <string>

#include "tests/client/cpp/fake_server.h"

namespace attune::client {

inline constexpr char kReplayedJob[] = "fineTuningJobs/j1", kHelperJob[] = "fineTuningJobs/j9";

inline v1::Checkpoint& PutCheckpoint(FakeServer& server, const std::string& job, int64_t step, const std::string& weights = "") {
  const std::string name = job + "/checkpoints/" + std::to_string(step);
  v1::Checkpoint& checkpoint = server.checkpoints.by_name[name];
  checkpoint.Clear();
  checkpoint.set_name(name);
  checkpoint.set_step(step);
  checkpoint.set_resumable(true);
  for (const std::string path : {"model.safetensors", "optimizer.safetensors", "training_state.json"}) {
    v1::CheckpointFile& file = *checkpoint.add_files();
    file.set_path(path);
    file.set_sha256(Sha256Hex(path + std::to_string(step) + (path == "model.safetensors" ? weights : "")));
  }
  return checkpoint;
}

inline v1::WatchFineTuningJobResponse SavedEvent(int64_t sequence, int64_t step) {
  v1::WatchFineTuningJobResponse message;
  message.mutable_event()->set_sequence(sequence);
  message.mutable_event()->mutable_checkpoint_saved()->set_step(step);
  message.mutable_event()->mutable_checkpoint_saved()->set_checkpoint(std::string(kHelperJob) + "/checkpoints/" + std::to_string(step));
  return message;
}

inline v1::WatchFineTuningJobResponse EndEvent(int64_t sequence, const std::string& text) {
  v1::WatchFineTuningJobResponse message;
  message.mutable_event()->set_sequence(sequence);
  message.mutable_event()->set_message(text);
  message.mutable_event()->mutable_state_changed()->set_terminal(true);
  return message;
}

// Checkpoints at 10, 20 and 30; the helper has one at `to`, with other weights where `weights` is not empty.
inline void ScriptReplay(FakeServer& server, int64_t to, const std::string& weights = "") {
  v1::FineTuningJob& job = server.jobs.jobs[kReplayedJob];
  job.set_name(kReplayedJob);
  job.mutable_effective_spec()->set_seed(3);
  job.mutable_effective_spec()->mutable_scheduling()->set_max_run_seconds(60);
  for (int64_t step : {10, 20, 30}) PutCheckpoint(server, kReplayedJob, step);
  PutCheckpoint(server, kHelperJob, to, weights);
  v1::FineTuningJob& helper = server.jobs.jobs[kHelperJob];
  helper.set_name(kHelperJob);
  helper.set_state(v1::FineTuningJob::STATE_CANCELLED);
  server.jobs.on_create = [](const v1::CreateFineTuningJobRequest&, v1::FineTuningJob* response) {
    response->set_name(kHelperJob);
    return grpc::Status::OK;
  };
  server.jobs.streams = {{{SavedEvent(1, to - 1), SavedEvent(2, to)}}, {{SavedEvent(1, to - 1), SavedEvent(2, to), EndEvent(3, "CANCELLED")}}};
}

}  // namespace attune::client
