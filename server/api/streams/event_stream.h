// EventStreams: the open watches of all jobs. Each follows one job's EventSubscription and writes the bytes that the event log serialised once, sharing
// them with every other watcher (gRPC slices that count references), so that a watcher costs a cursor and a write. Owned by ApiServer; must outlive the
// gRPC server's calls. Thread-safe.
//
// While its job waits, a watch says so at once and whenever jobs_ahead, reason, blocking resource or predicted start have changed: one timer for all watches looks at a
// number for each, and serialises a job that has changed once for all that watch it.
//
// A watch sends a heartbeat after each interval of silence, Lagged before the event that follows dropped ones, and ends OK after the terminal event, also for a
// caller who has that already. It ends with NOT_FOUND for an unknown (or meanwhile deleted) job; OUT_OF_RANGE for an after_sequence that the job has not
// reached, as the caller's count belongs to another job or to another server's data, and following would hide events from it; UNAVAILABLE
// when the server goes down, with the advice to come back.
//
//   EventStreams streams(event_log, scheduler, pool, {});
//   return streams.Watch(request);            // from a raw callback method
//   streams.EndAll(absl::UnavailableError("..."));
#pragma once

#include <memory>
#include <unordered_set>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "grpcpp/alarm.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/server_callback.h"
#include "server/api/blocking_pool.h"
#include "server/auth/quotas.h"
#include "server/jobs/job_event_log.h"
#include "server/scheduler/scheduler.h"

namespace attune::api {

struct EventStreamOptions {
  absl::Duration heartbeat_interval = absl::Seconds(10);  // of silence
  int events_at_once = 64;                                // taken from the subscription in one go
  absl::Duration waiting_interval = absl::Seconds(1);     // between two looks at what waiting jobs wait for
};

class EventStreams {
 public:
  using Reactor = grpc::ServerWriteReactor<grpc::ByteBuffer>;

  EventStreams(jobs::JobEventLog& log, scheduler::Scheduler& scheduler, BlockingPool& pool, EventStreamOptions options);
  ~EventStreams();  // there must be no open watch

  // The reactor of one call, which gRPC owns. `lease` goes with it.
  Reactor* Watch(const v1::WatchFineTuningJobRequest& request, auth::QuotaLease lease = {});
  // One that ends at once.
  static Reactor* Refuse(const absl::Status& status);

  // Ends every open watch, and refuses new ones, with `status`.
  void EndAll(const absl::Status& status);

  int active() const;

 private:
  class Stream;
  void Remove(Stream* stream);
  void ArmTicker() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnTick(bool fired);

  jobs::JobEventLog& log_;
  scheduler::Scheduler& scheduler_;
  BlockingPool& pool_;
  const EventStreamOptions options_;
  mutable absl::Mutex mutex_;
  absl::Status ended_ ABSL_GUARDED_BY(mutex_);  // not OK after EndAll
  std::unordered_set<Stream*> streams_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Alarm> ticker_ ABSL_GUARDED_BY(mutex_);  // set while there are streams
};

}  // namespace attune::api
