// Cancels a stream on which nothing moves: a synchronous gRPC read has no time limit of its own, and a connection that
// is gone without a word would block it for ever. Lives beside one ClientContext; Arm and Disarm are called by the
// thread that reads or writes.
//
//   StallGuard guard(context, absl::Seconds(60));
//   guard.Arm(); bool got = reader->Read(&message); guard.Disarm();
#pragma once

#include <chrono>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"

namespace attune::client {

class StallGuard {
 public:
  StallGuard(grpc::ClientContext& context, absl::Duration limit);
  ~StallGuard();
  StallGuard(const StallGuard&) = delete;
  StallGuard& operator=(const StallGuard&) = delete;
  void Arm();     // a wait for the other side begins
  void Disarm();  // it is over
  // `status` of the finished stream, or UNAVAILABLE that names the silence when this guard ended it.
  absl::Status Explain(const absl::Status& status);

 private:
  void Loop();

  grpc::ClientContext& context_;
  const absl::Duration limit_;
  absl::Mutex mutex_;
  absl::CondVar wake_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  bool armed_ ABSL_GUARDED_BY(mutex_) = false;
  bool fired_ ABSL_GUARDED_BY(mutex_) = false;
  std::chrono::steady_clock::time_point since_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace attune::client
