// WorkerSession: one worker's stream. WorkerConnectService makes one for each call of WorkerService.Connect; the host (the pool) decides who may stay
// and what messages mean.
//
// Life: the worker's first message must be hello and the host must accept it; then OnMessage for each further message, one at a time and in order; then
// OnClosed, once. Thread-safe. A session lives as long as somebody holds it; its stream may be gone by then.
//
//   WorkerConnectService service(host);   // registered on a private address; see worker_endpoint.h
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "attune/worker/v1/worker.grpc.pb.h"
#include "attune/worker/v1/worker.pb.h"
#include "grpcpp/support/server_callback.h"

namespace attune::workers {

class WorkerSession;

// Called from gRPC's threads; must not block.
class WorkerSessionHost {
 public:
  virtual ~WorkerSessionHost() = default;
  // An error refuses the worker, and OnClosed is not called.
  virtual absl::Status OnHello(const std::shared_ptr<WorkerSession>& session, const worker::v1::Hello& hello) = 0;
  virtual void OnMessage(const WorkerSession& session, worker::v1::ConnectRequest message) = 0;
  virtual void OnClosed(const WorkerSession& session) = 0;
};

class WorkerSession {
 public:
  // Set by the hello.
  const std::string& worker_id() const { return worker_id_; }
  // Queued; dropped when the stream is closed.
  void Send(worker::v1::ConnectResponse message);
  // Ends the stream after what is queued, with this status.
  void Close(const absl::Status& status);

  // One whose stream is done: what is sent is dropped.
  static std::shared_ptr<WorkerSession> WithoutStreamForTest(std::string worker_id) {
    auto session = std::make_shared<WorkerSession>();
    session->worker_id_ = std::move(worker_id);
    return session;
  }

 private:
  friend class WorkerConnectService;
  class Stream;

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::string worker_id_;  // constant once the host has accepted
  absl::Mutex mutex_;
  Stream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;  // null once it is done
  std::deque<worker::v1::ConnectResponse> queue_ ABSL_GUARDED_BY(mutex_);  // the front is being written while writing_
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;  // Finish was called
  grpc::Status close_status_ ABSL_GUARDED_BY(mutex_);
};

class WorkerConnectService final : public worker::v1::WorkerService::CallbackService {
 public:
  // The host must outlive the server that this is registered with.
  explicit WorkerConnectService(WorkerSessionHost& host) : host_(host) {}
  grpc::ServerBidiReactor<worker::v1::ConnectRequest, worker::v1::ConnectResponse>* Connect(
      grpc::CallbackServerContext* context) override;

 private:
  WorkerSessionHost& host_;
};

}  // namespace attune::workers
