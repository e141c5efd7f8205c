#include "client/cpp/verify_resume.h"

#include <algorithm>
#include <map>
#include <utility>

#include "client/cpp/watch.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::client {
namespace {

constexpr int kPage = 1000;

// Those that can be resumed, oldest first.
absl::StatusOr<std::vector<v1::Checkpoint>> ResumableCheckpoints(Client& client, const std::string& job) {
  v1::ListCheckpointsRequest request;
  request.set_parent(job);
  request.set_page_size(kPage);
  std::vector<v1::Checkpoint> found;
  do {
    ATTUNE_ASSIGN_OR_RETURN(v1::ListCheckpointsResponse page, client.ListCheckpoints(request));
    for (v1::Checkpoint& checkpoint : *page.mutable_checkpoints()) {
      if (checkpoint.resumable()) found.push_back(std::move(checkpoint));
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.step() < b.step(); });
  return found;
}

// The checkpoint to begin with and the one after it.
absl::StatusOr<std::pair<v1::Checkpoint, v1::Checkpoint>> ChoosePair(const std::string& job, const std::vector<v1::Checkpoint>& checkpoints, int64_t from_step) {
  if (checkpoints.size() < 2) {
    return absl::FailedPreconditionError(StrCat(job, " has ", checkpoints.size(), checkpoints.size() == 1 ? " checkpoint" : " checkpoints",
                                                " that can be resumed, and two are compared; save more often (save_steps) and keep more (keep_last)"));
  }
  if (from_step < 0) return std::pair(checkpoints[checkpoints.size() - 2], checkpoints.back());
  for (size_t i = 0; i < checkpoints.size(); ++i) {
    if (checkpoints[i].step() != from_step) continue;
    if (i + 1 < checkpoints.size()) return std::pair(checkpoints[i], checkpoints[i + 1]);
    return absl::FailedPreconditionError(StrCat(checkpoints[i].name(), " is the last checkpoint; begin with an earlier one"));
  }
  return absl::NotFoundError(StrCat(job, " has no checkpoint at step ", from_step, " that can be resumed"));
}

v1::CreateFineTuningJobRequest HelperRequest(const v1::FineTuningJob& job, const v1::Checkpoint& from, const v1::Checkpoint& to) {
  v1::CreateFineTuningJobRequest request;
  request.set_display_name(StrCat("replay of ", job.name().substr(job.name().find('/') + 1), ", steps ", from.step(), " to ", to.step()));
  *request.mutable_spec() = job.effective_spec();
  request.mutable_spec()->mutable_warm_start()->set_checkpoint(from.name());
  request.mutable_spec()->mutable_warm_start()->set_part(v1::WarmStart::PART_ALL);
  request.mutable_spec()->mutable_checkpointing()->set_save_steps(to.step());  // due at that step, and at no earlier one
  request.mutable_spec()->mutable_scheduling()->set_max_run_seconds(0);
  return request;
}

// Follows the helper job until it has its checkpoint at `step`.
absl::StatusOr<v1::Checkpoint> WaitForCheckpoint(Client& client, const std::string& helper, int64_t step) {
  std::string name, end;
  ATTUNE_RETURN_IF_ERROR(WatchJob(client, helper, {}, [&](const v1::JobEvent& event) {
    if (event.checkpoint_saved().step() == step && event.has_checkpoint_saved()) name = event.checkpoint_saved().checkpoint();
    if (event.state_changed().terminal()) end = event.message();
    return name.empty();
  }));
  if (name.empty()) return absl::InternalError(StrCat(helper, ", which trained the steps again, ended without a checkpoint at step ", step, ": ", end));
  v1::GetCheckpointRequest get;
  get.set_name(name);
  return client.GetCheckpoint(get);
}

// Whatever came of it, nothing of the helper job stays.
absl::Status Remove(Client& client, const std::string& helper) {
  v1::CancelFineTuningJobRequest cancel;
  cancel.set_name(helper);
  const absl::Status cancelled = client.CancelFineTuningJob(cancel).status();
  // One that has ended cannot be cancelled.
  if (!cancelled.ok() && !absl::IsFailedPrecondition(cancelled)) return cancelled;
  ATTUNE_RETURN_IF_ERROR(WaitForJob(client, helper).status());
  v1::DeleteFineTuningJobRequest remove;
  remove.set_name(helper);
  return client.DeleteFineTuningJob(remove);
}

std::vector<FileProof> Compare(const v1::Checkpoint& expected, const v1::Checkpoint& replayed) {
  std::map<std::string, FileProof> files;
  for (const v1::CheckpointFile& file : expected.files()) files[file.path()].expected = file.sha256();
  for (const v1::CheckpointFile& file : replayed.files()) files[file.path()].replayed = file.sha256();
  std::vector<FileProof> proofs;
  for (auto& [path, proof] : files) {
    proof.path = path;
    proofs.push_back(std::move(proof));
  }
  return proofs;
}

}  // namespace

bool ResumeProof::equal() const {
  return std::all_of(files.begin(), files.end(), [](const FileProof& file) { return file.equal(); });
}

absl::StatusOr<ResumeProof> VerifyResume(Client& client, const std::string& name, const VerifyResumeOptions& options) {
  v1::GetFineTuningJobRequest get;
  get.set_name(name);
  ATTUNE_ASSIGN_OR_RETURN(v1::FineTuningJob job, client.GetFineTuningJob(get));
  ATTUNE_ASSIGN_OR_RETURN(std::vector<v1::Checkpoint> checkpoints, ResumableCheckpoints(client, name));
  ATTUNE_ASSIGN_OR_RETURN(auto pair, ChoosePair(name, checkpoints, options.from_step));
  const auto& [from, to] = pair;
  for (const v1::Adjustment& change : job.adjustments()) {
    if (change.after_step() > from.step() && change.after_step() < to.step()) {
      return absl::FailedPreconditionError(StrCat(name, " was changed after step ", change.after_step(), ", between its checkpoints at ", from.step(), " and ", to.step(),
                                                  "; begin with another one"));
    }
  }
  ATTUNE_ASSIGN_OR_RETURN(v1::FineTuningJob helper, client.CreateFineTuningJob(HelperRequest(job, from, to)));
  if (options.on_start) options.on_start(helper, from.step(), to.step());
  absl::StatusOr<v1::Checkpoint> replayed = WaitForCheckpoint(client, helper.name(), to.step());
  const absl::Status removed = Remove(client, helper.name());
  ATTUNE_RETURN_IF_ERROR(replayed.status());
  ATTUNE_RETURN_IF_ERROR(removed);
  return ResumeProof{from.name(), to.name(), Compare(to, *replayed)};
}

}  // namespace attune::client
