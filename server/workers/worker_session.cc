#include "server/workers/worker_session.h"

#include <utility>

#include "server/base/fault_point.h"

namespace attune::workers {

// The gRPC side of a session. Deletes itself when gRPC is done with it.
class WorkerSession::Stream final : public grpc::ServerBidiReactor<worker::v1::ConnectRequest, worker::v1::ConnectResponse> {
 public:
  Stream(WorkerSessionHost& host, std::shared_ptr<WorkerSession> session) : host_(host), session_(std::move(session)) {}

  // Apart from the constructor, because a reaction may come at once and needs session_->stream_.
  void Begin() { StartRead(&request_); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      session_->Close(absl::OkStatus());
      return;
    }
    if (!accepted_) {
      absl::Status status = Accept();
      if (!status.ok()) {
        session_->Close(status);
        return;
      }
    } else {
      FaultPoint("receive.before");
      host_.OnMessage(*session_, std::move(request_));
    }
    request_.Clear();
    StartRead(&request_);
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&session_->mutex_);
    session_->writing_ = false;
    session_->queue_.pop_front();
    if (!ok) session_->queue_.clear();  // the read fails too, and ends the session
    session_->WriteNext();
  }

  void OnDone() override {
    {
      absl::MutexLock lock(&session_->mutex_);
      session_->stream_ = nullptr;
      session_->queue_.clear();
    }
    if (accepted_) host_.OnClosed(*session_);
    delete this;
  }

 private:
  absl::Status Accept() {
    if (!request_.has_hello()) {
      return absl::FailedPreconditionError("the first message of a worker must be hello");
    }
    session_->worker_id_ = request_.hello().worker_id();
    absl::Status status = host_.OnHello(session_, request_.hello());
    accepted_ = status.ok();
    return status;
  }

  WorkerSessionHost& host_;
  const std::shared_ptr<WorkerSession> session_;
  worker::v1::ConnectRequest request_;
  bool accepted_ = false;  // reactions of a stream's reads come one at a time
};

void WorkerSession::Send(worker::v1::ConnectResponse message) {
  absl::MutexLock lock(&mutex_);
  if (stream_ == nullptr || closing_) return;
  queue_.push_back(std::move(message));
  WriteNext();
}

void WorkerSession::Close(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (stream_ == nullptr || closing_) return;
  closing_ = true;
  // absl's codes are gRPC's by design.
  close_status_ = status.ok() ? grpc::Status::OK
                              : grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
  WriteNext();
}

void WorkerSession::WriteNext() {
  if (writing_ || finished_ || stream_ == nullptr) return;
  if (!queue_.empty()) {
    writing_ = true;
    stream_->StartWrite(&queue_.front());
  } else if (closing_) {
    finished_ = true;
    stream_->Finish(close_status_);
  }
}

grpc::ServerBidiReactor<worker::v1::ConnectRequest, worker::v1::ConnectResponse>* WorkerConnectService::Connect(
    grpc::CallbackServerContext*) {
  auto session = std::make_shared<WorkerSession>();
  auto* stream = new WorkerSession::Stream(host_, session);
  {
    absl::MutexLock lock(&session->mutex_);
    session->stream_ = stream;
  }
  stream->Begin();
  return stream;
}

}  // namespace attune::workers
