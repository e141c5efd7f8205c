// What every JobStore must do. A test file names its stores with INSTANTIATE_TEST_SUITE_P; see job_store_test.cc.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/job_store.h"

namespace attune::jobs {

// A place that stores open on. Two stores opened on one place, one after the other, see the same data (Persistent()), as after a restart.
class StorePlace {
 public:
  virtual ~StorePlace() = default;
  virtual std::unique_ptr<JobStore> Open() = 0;
  virtual bool Persistent() const = 0;
};

struct StoreKind {
  std::string name;
  std::function<std::unique_ptr<StorePlace>()> make;
};

class JobStoreContract : public ::testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    place_ = GetParam().make();
    store_ = place_->Open();
  }

  static Job MakeJob(const std::string& id, int64_t order, const std::string& request_id = "") {
    Job job;
    job.id = id;
    job.order = order;
    job.request_id = request_id;
    job.request_digest = request_id.empty() ? "" : "digest";
    job.resource.set_name(JobName(id));
    job.resource.set_state(v1::FineTuningJob::STATE_QUEUED);
    return job;
  }
  static CheckpointRecord MakeCheckpoint(const std::string& job_id, int64_t step) {
    CheckpointRecord checkpoint{job_id, step, "step-" + std::to_string(step)};
    checkpoint.resource.set_name(CheckpointName(job_id, step));
    return checkpoint;
  }
  static StoredEvent MakeEvent(const std::string& job_id, int64_t sequence, EventKind kind = EventKind::kLasting) {
    return {job_id, sequence, kind, std::string("bytes\0", 6) + std::to_string(sequence)};
  }
  std::vector<int64_t> Sequences(const std::string& job_id, const EventRange& range = {}) {
    std::vector<int64_t> sequences;
    auto events = store_->ReadEvents(job_id, range);
    EXPECT_TRUE(events.ok()) << events.status();
    for (const StoredEvent& event : *events) sequences.push_back(event.sequence);
    return sequences;
  }

  std::unique_ptr<StorePlace> place_;
  std::unique_ptr<JobStore> store_;
};

}  // namespace attune::jobs
