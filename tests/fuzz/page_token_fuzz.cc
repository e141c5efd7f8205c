// Page tokens and filters of lists, as clients send them. A first byte says what the rest is: a token, what a token
// holds, or a filter.
#include "server/base/page_token.h"
#include "server/base/utf8.h"
#include "server/jobs/job_filter.h"
#include "server/scheduler/job_snapshots.h"
#include "tests/fuzz/driver/fuzz.h"

namespace attune::fuzz {
namespace {

void ReadToken(std::string_view token) {
  for (const std::string_view scope : {"", "fineTuningJobs?"}) {
    const auto cursor = ReadPageToken(scope, token);
    if (!cursor.ok()) {
      RequireRefusal(cursor.status());
      continue;
    }
    Require(token.empty() || MakePageToken(scope, *cursor) == token, "only tokens that were made are read");
  }
}

void MakeToken(std::string_view cursor) {
  const std::string token = MakePageToken("scope", cursor);
  const auto read = ReadPageToken("scope", token);
  Require(read.ok() && *read == cursor, "a token gives its cursor back");
  Require(!ReadPageToken("other", token).ok(), "a token is of one list");
}

const scheduler::JobSnapshots& Jobs() {
  static const auto& jobs = *[] {
    auto* made = new scheduler::JobSnapshots;
    for (int i = 1; i <= 3; ++i) {
      jobs::Job job{.id = "j" + std::to_string(i), .order = i};
      job.resource.set_name(jobs::JobName(job.id));
      job.resource.set_display_name("display name");
      job.resource.set_state(i == 1 ? v1::FineTuningJob::STATE_RUNNING : v1::FineTuningJob::STATE_FAILED);
      (*job.resource.mutable_labels())["team"] = "nlp";
      made->PutJob(job, absl::UnixEpoch());
    }
    made->PutCheckpoints(
        "j1", {{3, jobs::CheckpointRecord{"j1", 3, "step-3", {}}}, {7, jobs::CheckpointRecord{"j1", 7, "step-7", {}}}});
    return made;
  }();
  return jobs;
}

// Every page of the list, as a client walks through it.
void List(const std::string& token, std::string_view filter) {
  v1::ListFineTuningJobsRequest request;
  request.set_page_token(token);
  request.set_filter(std::string(filter));
  request.set_page_size(1);
  for (int page = 0;; ++page) {
    Require(page <= 3, "a list ends");
    const auto response = Jobs().List(request, ProjectSet::All());
    if (!response.ok()) {
      Require(page == 0, "tokens of pages are understood");
      return RequireRefusal(response.status());
    }
    Require(response->fine_tuning_jobs_size() <= 1, "a page is as long as was asked for");
    if (response->next_page_token().empty()) return;
    request.set_page_token(response->next_page_token());
  }
}

void ListCheckpoints(const std::string& parent, const std::string& token) {
  v1::ListCheckpointsRequest request;
  request.set_parent(parent);
  request.set_page_token(token);
  const auto response = Jobs().ListCheckpoints(request);
  if (!response.ok() && !absl::IsNotFound(response.status())) RequireRefusal(response.status());
  (void)Jobs().GetCheckpoint(parent);
}

}  // namespace
}  // namespace attune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attune::fuzz;
  Pieces pieces(Input(data, size));
  const uint8_t kind = pieces.Byte();
  const std::string rest(pieces.rest());
  if (attune::FirstInvalidUtf8(rest)) return 0;  // gRPC refuses such a message
  switch (kind % 4) {
    case 0:
      ReadToken(rest);
      List(rest, "");
      ListCheckpoints("fineTuningJobs/j1", rest);
      break;
    case 1:  // behind the checksum, which an input does not hit upon
      MakeToken(rest);
      List(attune::MakePageToken("fineTuningJobs?", rest), "");
      ListCheckpoints("fineTuningJobs/j1", attune::MakePageToken("fineTuningJobs/j1/checkpoints", rest));
      break;
    case 2:
      List("", rest);
      break;
    default:
      ListCheckpoints(rest, "");
  }
  return 0;
}
