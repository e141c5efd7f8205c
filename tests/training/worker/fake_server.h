// FakeServer: the server's side of workers' streams, on a Unix socket, driven by a test: it sends what it is told and keeps what it gets. Header-only, thread-safe.
//
//   FakeServer server;
//   ... a worker dials server.address() ...
//   server.Send(command);
//   ConnectRequest started = server.WaitFor([](const auto& m) { return m.has_started(); });
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "attune/worker/v1/worker.grpc.pb.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "server/base/files.h"

namespace attune::training {

class FakeServer final : public worker::v1::WorkerService::Service {
 public:
  using Request = worker::v1::ConnectRequest;
  using Response = worker::v1::ConnectResponse;

  FakeServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address(), grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeServer() override { Cut(); }

  std::string address() const { return "unix:" + directory_.path() + "/w.sock"; }

  // Ends everything at once, as a server that is killed.
  void Cut() {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
  }

  void Send(const Response& message) {
    absl::MutexLock lock(&mutex_);
    const auto connected = [this] { return stream_ != nullptr; };
    ASSERT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&connected), kPatience)) << "no worker has connected";
    stream_->Write(message);
  }

  // The first message that `fits`, past or future.
  Request WaitFor(const std::function<bool(const Request&)>& fits) { return WaitForAll(fits, 1).back(); }
  std::vector<Request> WaitForAll(const std::function<bool(const Request&)>& fits, size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto there = [&] { return Matching(fits).size() >= count || ended_; };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&there), kPatience)) << "timed out";
    std::vector<Request> found = Matching(fits);
    EXPECT_GE(found.size(), count);
    found.resize(std::max(found.size(), count));
    return found;
  }
  std::vector<Request> messages() const {
    absl::MutexLock lock(&mutex_);
    return messages_;
  }
  // Whether the worker's side of the stream is over.
  void WaitUntilEnded() {
    absl::MutexLock lock(&mutex_);
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&ended_), kPatience)) << "the worker goes on";
  }

 private:
  static constexpr absl::Duration kPatience = absl::Seconds(120);

  std::vector<Request> Matching(const std::function<bool(const Request&)>& fits) const {
    std::vector<Request> found;
    for (const Request& message : messages_) {
      if (fits(message)) found.push_back(message);
    }
    return found;
  }

  grpc::Status Connect(grpc::ServerContext*, grpc::ServerReaderWriter<Response, Request>* stream) override {
    {
      absl::MutexLock lock(&mutex_);
      stream_ = stream;
    }
    Request message;
    while (stream->Read(&message)) {
      absl::MutexLock lock(&mutex_);
      messages_.push_back(message);
    }
    absl::MutexLock lock(&mutex_);
    stream_ = nullptr;
    ended_ = true;
    return grpc::Status::OK;
  }

  TemporaryDirectory directory_;
  mutable absl::Mutex mutex_;
  grpc::ServerReaderWriter<Response, Request>* stream_ = nullptr;
  std::vector<Request> messages_;
  bool ended_ = false;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace attune::training
