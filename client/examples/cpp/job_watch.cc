#include "client/examples/cpp/job_watch.h"

#include <memory>
#include <stdexcept>
#include <utility>

#include "client/examples/cpp/connection.h"

namespace example {

namespace v1 = attune::v1;
using Jobs = v1::FineTuningJobService::Stub;

v1::JobEvent JobWatch::Await(const std::string& what, const Condition& condition) {
  v1::JobEvent found;
  bool done = false;
  // A server that shuts down ends its streams with OK; the job goes on after it.
  while (!done) {
    Retry([&] {
      v1::WatchFineTuningJobRequest request;
      request.set_name(job_);
      request.set_after_sequence(sequence_);
      grpc::ClientContext context;
      const auto stream = jobs_.WatchFineTuningJob(&context, request);
      bool lagged = false;
      v1::WatchFineTuningJobResponse response;
      while (!done && stream->Read(&response)) {
        lagged = lagged || response.has_lagged();
        if (!response.has_event()) continue;  // a heartbeat, or what a waiting job waits for
        std::vector<v1::JobEvent> events;
        if (std::exchange(lagged, false)) events = Missed(response.event().sequence());
        events.push_back(response.event());
        for (size_t i = 0; i < events.size() && !done; ++i) {
          done = Accept(events[i], what, condition);
          if (done) found = events[i];
        }
      }
      // A stream that is not read to its end must be cancelled before Finish, which otherwise waits for that end.
      if (done) context.TryCancel();
      const grpc::Status status = stream->Finish();
      return done ? grpc::Status::OK : status;
    });
  }
  return found;
}

v1::JobEvent JobWatch::AwaitState(const std::string& state) {
  return Await(state, [&](const v1::JobEvent& event) { return event.state_changed().to() == state; });
}

bool JobWatch::Accept(const v1::JobEvent& event, const std::string& what, const Condition& condition) {
  if (event.sequence() != sequence_ + 1)
    throw std::runtime_error("event " + std::to_string(event.sequence()) + " came after event " +
                             std::to_string(sequence_));
  sequence_ = event.sequence();
  if (condition(event)) return true;
  if (event.state_changed().terminal())
    throw std::runtime_error(job_ + " became " + event.state_changed().to() + " before " + what);
  return false;
}

// What a reader that was too slow did not get: the events after the last one seen, up to the one before `next`.
std::vector<v1::JobEvent> JobWatch::Missed(int64_t next) {
  std::vector<v1::JobEvent> events;
  v1::ListJobEventsRequest request;
  request.set_parent(job_);
  request.set_after_sequence(sequence_);
  do {
    const v1::ListJobEventsResponse page = Call(jobs_, &Jobs::ListJobEvents, request);
    for (const v1::JobEvent& event : page.events()) {
      if (event.sequence() == next) return events;
      events.push_back(event);
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return events;
}

}  // namespace example
