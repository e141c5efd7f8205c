// A worker made of nothing but its stream, driven by the test, and a launcher that starts such workers.
#pragma once

#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "attune/worker/v1/worker.grpc.pb.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "server/workers/worker_launcher.h"

namespace attune::workers {

class ScriptedWorker {
 public:
  ScriptedWorker(const std::string& address, const std::string& id, const std::string& secret) : id_(id), secret_(secret) {
    stub_ = worker::v1::WorkerService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    stream_ = stub_->Connect(&context_);
  }
  ~ScriptedWorker() { Drop(); }

  bool SayHello() {
    worker::v1::ConnectRequest message;
    message.mutable_hello()->set_worker_id(id_);
    message.mutable_hello()->set_secret(secret_);
    return Send(message);
  }
  bool Send(const worker::v1::ConnectRequest& message) { return stream_->Write(message); }
  // Blocks; empty when the server ended the stream.
  std::optional<worker::v1::ConnectResponse> Read() {
    worker::v1::ConnectResponse message;
    if (!stream_->Read(&message)) return std::nullopt;
    return message;
  }
  // Reads to the end and returns the server's status.
  grpc::Status ReadToEnd() {
    while (Read().has_value()) {
    }
    return End();
  }
  // Half-closes as an exiting worker does, and waits for the server.
  grpc::Status Close() {
    stream_->WritesDone();
    return ReadToEnd();
  }
  // As if the process died.
  void Drop() {
    if (ended_) return;
    context_.TryCancel();
    ReadToEnd();
  }
  const std::string& id() const { return id_; }

 private:
  grpc::Status End() {
    if (std::exchange(ended_, true)) return status_;
    return status_ = stream_->Finish();
  }

  const std::string id_, secret_;
  grpc::ClientContext context_;
  std::unique_ptr<worker::v1::WorkerService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<worker::v1::ConnectRequest, worker::v1::ConnectResponse>> stream_;
  bool ended_ = false;
  grpc::Status status_;
};

class ScriptedLauncher final : public WorkerLauncher {
 public:
  absl::Status Launch(const LaunchRequest& request, ExitCallback on_exit) override {
    absl::MutexLock lock(&mutex_);
    ++launches_;
    if (!failure_.ok()) return failure_;
    running_[request.worker_id] = std::move(on_exit);
    requests_.push_back(request);
    return absl::OkStatus();
  }
  // A killed worker exits at once, unless HoldKills.
  void Kill(const std::string& worker_id) override {
    {
      absl::MutexLock lock(&mutex_);
      killed_.push_back(worker_id);
      if (hold_kills_) return;
    }
    Exit(worker_id, {true, SIGKILL});
  }
  std::vector<std::string> LogTail(const std::string& worker_id) override { return {"tail of " + worker_id}; }

  void Exit(const std::string& worker_id, ExitStatus status) {
    ExitCallback on_exit;
    {
      absl::MutexLock lock(&mutex_);
      auto node = running_.extract(worker_id);
      if (node.empty()) return;
      on_exit = std::move(node.mapped());
    }
    on_exit(worker_id, status, {"last words of " + worker_id});
  }
  // The nth launch since the start (from 1) that worked.
  LaunchRequest WaitForLaunch(size_t n) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, n]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return requests_.size() >= n; };
    mutex_.Await(absl::Condition(&there));
    return requests_[n - 1];
  }
  void WaitForLaunchAttempts(int n) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, n]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return launches_ >= n; };
    mutex_.Await(absl::Condition(&there));
  }
  size_t launched() {
    absl::MutexLock lock(&mutex_);
    return requests_.size();
  }
  void WaitForKill(const std::string& worker_id) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, &worker_id]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return std::find(killed_.begin(), killed_.end(), worker_id) != killed_.end();
    };
    mutex_.Await(absl::Condition(&there));
  }
  void FailLaunches(absl::Status failure) {
    absl::MutexLock lock(&mutex_);
    failure_ = std::move(failure);
  }

 private:
  absl::Mutex mutex_;
  std::vector<LaunchRequest> requests_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, ExitCallback> running_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> killed_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  int launches_ ABSL_GUARDED_BY(mutex_) = 0;
  bool hold_kills_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace attune::workers
