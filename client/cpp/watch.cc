#include "client/cpp/watch.h"

#include "client/cpp/channel.h"
#include "client/cpp/error.h"
#include "client/cpp/retry.h"
#include "server/base/status_macros.h"

namespace attune::client {
namespace {

constexpr int kPageSize = 1000;

class Watcher {
 public:
  Watcher(Client& client, const std::string& job, const WatchOptions& options,
          const std::function<bool(const v1::JobEvent&)>& on_event)
      : client_(client),
        job_(job),
        options_(options),
        on_event_(on_event),
        policy_(client.options().retry),
        last_(options.after_sequence) {
    policy_.max_attempts = options.max_attempts;
  }

  absl::Status Run() {
    Retrier retrier(policy_);
    v1::WatchFineTuningJobRequest request;
    request.set_name(job_);
    while (true) {
      request.set_after_sequence(last_);
      absl::Status missing;
      absl::Status status = client_.WatchOnce(request, [&](const v1::WatchFineTuningJobResponse& response) {
        // Heartbeats need nothing; after "lagged" the next event shows the gap.
        if (response.has_event()) missing = FillGap(response.event().sequence());
        if (!missing.ok()) return false;
        retrier.Progressed();
        if (response.has_event()) Deliver(response.event());
        if (response.has_waiting() && options_.on_waiting) options_.on_waiting(response.waiting());
        return !done_;
      });
      if (status.ok()) status = missing;
      if (done_) return absl::OkStatus();
      // A server that goes down ends its streams in good order.
      if (status.ok()) status = absl::UnavailableError("the server ended the stream before the job ended");
      if (options_.on_cut && IsTransient(status)) options_.on_cut(status);
      if (!retrier.WaitAfter(status)) return ExplainFinal(status, client_.options(), retrier.failures());
    }
  }

 private:
  // Fetches what was dropped between the last event and `next`.
  absl::Status FillGap(int64_t next) {
    v1::ListJobEventsRequest request;
    request.set_parent(job_);
    request.set_page_size(kPageSize);
    while (!done_ && last_ + 1 < next) {
      request.set_after_sequence(last_);
      ATTUNE_ASSIGN_OR_RETURN(const v1::ListJobEventsResponse response, client_.ListJobEvents(request));
      const int64_t before = last_;
      for (const v1::JobEvent& event : response.events()) {
        if (event.sequence() < next) Deliver(event);
      }
      if (last_ == before) break;  // the server no longer has them
    }
    return absl::OkStatus();
  }

  void Deliver(const v1::JobEvent& event) {
    if (done_ || event.sequence() <= last_) return;
    last_ = event.sequence();
    if (!on_event_(event) || event.state_changed().terminal()) done_ = true;
  }

  Client& client_;
  const std::string job_;
  const WatchOptions& options_;
  const std::function<bool(const v1::JobEvent&)>& on_event_;
  RetryPolicy policy_;
  int64_t last_;
  bool done_ = false;
};

}  // namespace

absl::Status WatchJob(Client& client, const std::string& job, const WatchOptions& options,
                      const std::function<bool(const v1::JobEvent&)>& on_event) {
  return Watcher(client, job, options, on_event).Run();
}

absl::StatusOr<v1::FineTuningJob> WaitForJob(Client& client, const std::string& job) {
  ATTUNE_RETURN_IF_ERROR(WatchJob(client, job, {}, [](const v1::JobEvent&) { return true; }));
  v1::GetFineTuningJobRequest request;
  request.set_name(job);
  return client.GetFineTuningJob(request);
}

}  // namespace attune::client
