// A pool whose workers the test plays, for what is asked of it beside attempts: predictions, evaluations, plans. Header-only.
//
//   ScriptedWorker& worker = Connect(1);   // the first that was launched has said hello
#pragma once

#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "server/base/files.h"
#include "server/workers/supervised_worker_pool.h"
#include "server/workers/worker_endpoint.h"
#include "tests/fakes/manual_clock.h"
#include "tests/server/workers/scripted_worker.h"

namespace attune::workers {

class NoListener final : public WorkerPoolListener {
 public:
  void OnAttemptMessage(const AttemptId&, worker::v1::ConnectRequest) override {}
  void OnAttemptEnded(const AttemptId&, AttemptEnd) override {}
  void OnWorkersChanged() override {}
};

class PoolFixture : public ::testing::Test {
 protected:
  void SetUp() override { Start({.heartbeat_timeout = absl::Hours(9)}); }
  void Start(SupervisedWorkerPoolOptions options) {
    TearDown();
    launcher_ = std::make_unique<ScriptedLauncher>();
    pool_ = std::make_unique<SupervisedWorkerPool>(options, *launcher_, clock_);
    endpoint_ = WorkerEndpoint::Start(directory_.path() + "/w.sock", pool_->service()).value();
    pool_->Start(listener_);
  }
  void TearDown() override {
    workers_.clear();
    if (pool_ != nullptr) pool_->Stop(absl::ZeroDuration());
    endpoint_ = nullptr;
    pool_ = nullptr;
  }

  // The nth launched worker, which has said hello.
  ScriptedWorker& Connect(size_t n) {
    LaunchRequest request = launcher_->WaitForLaunch(n);
    workers_.push_back(std::make_unique<ScriptedWorker>(endpoint_->address(), request.worker_id, request.secret));
    EXPECT_TRUE(workers_.back()->SayHello());
    return *workers_.back();
  }
  void Advance(absl::Duration by) {
    clock_.Advance(by);
    pool_->WakeForTest();
  }

  TemporaryDirectory directory_;
  ManualClock clock_;
  NoListener listener_;
  std::unique_ptr<ScriptedLauncher> launcher_;
  std::unique_ptr<SupervisedWorkerPool> pool_;
  std::unique_ptr<WorkerEndpoint> endpoint_;
  std::vector<std::unique_ptr<ScriptedWorker>> workers_;
};

}  // namespace attune::workers
