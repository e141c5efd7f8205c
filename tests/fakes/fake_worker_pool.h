// FakeWorkerPool: a WorkerPool without workers; the test says what they would. Header-only. Thread-safe.
//
//   FakeWorkerPool pool;                          // one idle worker
//   worker::v1::Assign assigned = pool.WaitForAssign(1);
//   pool.Say(message);                            // with the fence of an assignment
//   pool.End(attempt, WorkerLost{...});
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/workers/worker_pool.h"

namespace attune::workers {

class FakeWorkerPool final : public WorkerPool {
 public:
  // WorkerPool.
  void Start(WorkerPoolListener& listener) override {
    absl::MutexLock lock(&mutex_);
    listener_ = &listener;
  }
  absl::Status Assign(const worker::v1::Assign& assignment) override {
    absl::MutexLock lock(&mutex_);
    if (status_.idle == 0 || refuse_) return absl::UnavailableError("no worker is ready yet");
    --status_.idle;
    assignments_.push_back(assignment);
    return absl::OkStatus();
  }
  void Cancel(const AttemptId& attempt) override { Note(cancelled_, attempt); }
  void Suspend(const AttemptId& attempt) override { Note(suspended_, attempt); }
  void Adjust(const AttemptId& attempt, const v1::LiveSettings& settings) override {
    absl::MutexLock lock(&mutex_);
    adjusted_.emplace_back(attempt, settings);
  }
  void Kill(const AttemptId& attempt) override { Note(killed_, attempt); }
  // Answers with one prediction for each text or image, whose labels are the directory and the image, unless a failure is set.
  void Predict(worker::v1::Predict prediction, PredictCallback done) override {
    absl::Status failure;
    {
      absl::MutexLock lock(&mutex_);
      failure = predict_failure_;
    }
    if (!failure.ok()) return done(failure);
    std::vector<v1::Prediction> answers(static_cast<size_t>(prediction.inputs_size() + prediction.images_size()));
    for (v1::Prediction& answer : answers) answer.add_labels(prediction.checkpoint_dir());
    for (int i = 0; i < prediction.images_size(); ++i) answers[static_cast<size_t>(prediction.inputs_size() + i)].add_labels(prediction.images(i));
    done(std::move(answers));
  }
  // Waits for the test, which has it from WaitForEvaluation.
  int64_t Evaluate(worker::v1::Evaluate evaluation, EvaluateCallbacks callbacks) override {
    absl::MutexLock lock(&mutex_);
    evaluations_.emplace_back(std::move(evaluation), std::move(callbacks));
    return static_cast<int64_t>(evaluations_.size());
  }
  void CancelEvaluation(int64_t id) override {
    absl::MutexLock lock(&mutex_);
    cancelled_evaluations_.push_back(id);
  }
  // Waits for the test, which has it from WaitForProbe.
  int64_t Probe(worker::v1::Probe probe, ProbeCallback done) override {
    absl::MutexLock lock(&mutex_);
    probes_.emplace_back(std::move(probe), std::move(done));
    return static_cast<int64_t>(probes_.size());
  }
  void CancelProbe(int64_t id) override {
    absl::MutexLock lock(&mutex_);
    cancelled_probes_.push_back(id);
  }
  PoolStatus Status() override {
    absl::MutexLock lock(&mutex_);
    return status_;
  }
  void Stop(absl::Duration grace) override {
    absl::MutexLock lock(&mutex_);
    listener_ = nullptr;
  }

  // For the test.
  void SetStatus(PoolStatus status) {
    {
      absl::MutexLock lock(&mutex_);
      status_ = std::move(status);
    }
    Listener([](WorkerPoolListener& listener) { listener.OnWorkersChanged(); });
  }
  void RefuseAssignments(bool refuse) {
    absl::MutexLock lock(&mutex_);
    refuse_ = refuse;
  }
  void FailPredictions(absl::Status failure) {
    absl::MutexLock lock(&mutex_);
    predict_failure_ = std::move(failure);
  }
  // The nth assignment since the start, from 1.
  worker::v1::Assign WaitForAssign(size_t n) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, n]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return assignments_.size() >= n; };
    mutex_.Await(absl::Condition(&there));
    return assignments_[n - 1];
  }
  // The nth evaluation since the start, from 1, which is also its number.
  std::pair<worker::v1::Evaluate, EvaluateCallbacks> WaitForEvaluation(size_t n) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, n]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return evaluations_.size() >= n; };
    mutex_.Await(absl::Condition(&there));
    return evaluations_[n - 1];
  }
  std::vector<int64_t> cancelled_evaluations() {
    absl::MutexLock lock(&mutex_);
    return cancelled_evaluations_;
  }
  // What attempts were told of changes, in order.
  std::vector<std::pair<AttemptId, v1::LiveSettings>> adjusted() {
    absl::MutexLock lock(&mutex_);
    return adjusted_;
  }
  // The nth probe since the start, from 1, which is also its number.
  std::pair<worker::v1::Probe, ProbeCallback> WaitForProbe(size_t n) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, n]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return probes_.size() >= n; };
    mutex_.Await(absl::Condition(&there));
    return probes_[n - 1];
  }
  int64_t WaitForCancelledProbe() {
    absl::MutexLock lock(&mutex_);
    auto there = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !cancelled_probes_.empty(); };
    mutex_.Await(absl::Condition(&there));
    return cancelled_probes_.back();
  }
  size_t assignments() {
    absl::MutexLock lock(&mutex_);
    return assignments_.size();
  }
  AttemptId WaitForCancel() { return WaitFor(cancelled_); }
  AttemptId WaitForSuspend() { return WaitFor(suspended_); }
  AttemptId WaitForKill() { return WaitFor(killed_); }

  // As the worker that has the attempt would.
  void Say(worker::v1::ConnectRequest message) {
    AttemptId attempt{message.fence().job(), message.fence().attempt()};
    Listener([&](WorkerPoolListener& listener) { listener.OnAttemptMessage(attempt, std::move(message)); });
  }
  // Ends the attempt; a fresh idle worker takes the place of its worker.
  void End(const AttemptId& attempt, std::variant<worker::v1::Finished, worker::v1::Failed, WorkerLost> how,
           std::vector<std::string> log_tail = {}) {
    Listener([&](WorkerPoolListener& listener) { listener.OnAttemptEnded(attempt, {std::move(how), std::move(log_tail)}); });
    PoolStatus status = Status();
    ++status.idle;
    SetStatus(status);
  }

 private:
  void Note(std::vector<AttemptId>& list, const AttemptId& attempt) {
    absl::MutexLock lock(&mutex_);
    list.push_back(attempt);
  }
  AttemptId WaitFor(const std::vector<AttemptId>& list) {
    absl::MutexLock lock(&mutex_);
    auto there = [&list]() { return !list.empty(); };
    mutex_.Await(absl::Condition(&there));
    return list.back();
  }
  template <typename Call>
  void Listener(Call call) {
    WorkerPoolListener* listener;
    {
      absl::MutexLock lock(&mutex_);
      listener = listener_;
    }
    if (listener != nullptr) call(*listener);
  }

  absl::Mutex mutex_;
  WorkerPoolListener* listener_ ABSL_GUARDED_BY(mutex_) = nullptr;
  PoolStatus status_ ABSL_GUARDED_BY(mutex_) = {.idle = 1};
  bool refuse_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status predict_failure_ ABSL_GUARDED_BY(mutex_);
  std::vector<worker::v1::Assign> assignments_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<worker::v1::Evaluate, EvaluateCallbacks>> evaluations_ ABSL_GUARDED_BY(mutex_);
  std::vector<int64_t> cancelled_evaluations_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<AttemptId, v1::LiveSettings>> adjusted_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<worker::v1::Probe, ProbeCallback>> probes_ ABSL_GUARDED_BY(mutex_);
  std::vector<int64_t> cancelled_probes_ ABSL_GUARDED_BY(mutex_);
  std::vector<AttemptId> cancelled_ ABSL_GUARDED_BY(mutex_), suspended_ ABSL_GUARDED_BY(mutex_), killed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::workers
