#include "tests/server/jobs/job_store_contract.h"

#include "server/base/files.h"
#include "server/database/database.h"
#include "server/jobs/sqlite_job_store.h"
#include "tests/fakes/memory_job_store.h"

namespace attune::jobs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(JobStoreContract, StartsEmpty) {
  EXPECT_THAT(*store_->LoadJobs(), IsEmpty());
  EXPECT_THAT(*store_->LoadCheckpoints(), IsEmpty());
  EXPECT_THAT(Sequences("j1"), IsEmpty());
  EXPECT_EQ(store_->LastEvent("j1")->sequence, 0);
}

TEST_P(JobStoreContract, KeepsEveryFieldOfAJob) {
  Job job = MakeJob("j1", 7, "request");
  job.lost_attempts = 2;
  job.best_is_measured = true;
  job.resource.set_display_name("näme");
  ASSERT_TRUE(store_->Commit({PutJob{job}}).ok());
  auto jobs = *store_->LoadJobs();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].id, "j1");
  EXPECT_EQ(jobs[0].order, 7);
  EXPECT_EQ(jobs[0].request_id, "request");
  EXPECT_EQ(jobs[0].request_digest, "digest");
  EXPECT_EQ(jobs[0].lost_attempts, 2);
  EXPECT_TRUE(jobs[0].best_is_measured);
  EXPECT_EQ(jobs[0].resource.SerializeAsString(), job.resource.SerializeAsString());
}

TEST_P(JobStoreContract, PutReplacesAndLoadIsByOrder) {
  ASSERT_TRUE(store_->Commit({PutJob{MakeJob("b", 1)}, PutJob{MakeJob("a", 2)}}).ok());
  Job changed = MakeJob("b", 1);
  changed.resource.set_state(v1::FineTuningJob::STATE_RUNNING);
  ASSERT_TRUE(store_->Commit({PutJob{changed}}).ok());
  auto jobs = *store_->LoadJobs();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].id, "b");
  EXPECT_EQ(jobs[0].resource.state(), v1::FineTuningJob::STATE_RUNNING);
  EXPECT_EQ(jobs[1].id, "a");
}

TEST_P(JobStoreContract, RequestIdsAreUniqueButAbsentOnesAreNot) {
  ASSERT_TRUE(store_->Commit({PutJob{MakeJob("a", 1)}, PutJob{MakeJob("b", 2)}, PutJob{MakeJob("c", 3, "r")}}).ok());
  EXPECT_EQ(store_->Commit({PutJob{MakeJob("d", 4, "r")}}).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(store_->LoadJobs()->size(), 3u);
  ASSERT_TRUE(store_->Commit({RemoveJob{"c"}, PutJob{MakeJob("d", 4, "r")}}).ok());
}

TEST_P(JobStoreContract, CommitIsAllOrNothing) {
  ASSERT_TRUE(store_->Commit({AddEvent{MakeEvent("j1", 1)}}).ok());
  absl::Status status = store_->Commit({PutJob{MakeJob("j1", 1)}, PutCheckpoint{MakeCheckpoint("j1", 5)}, AddEvent{MakeEvent("j1", 1)}});
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(*store_->LoadJobs(), IsEmpty());
  EXPECT_THAT(*store_->LoadCheckpoints(), IsEmpty());
  EXPECT_THAT(Sequences("j1"), ElementsAre(1));
}

TEST_P(JobStoreContract, CheckpointsComeAndGo) {
  CheckpointRecord five = MakeCheckpoint("j1", 5);
  ASSERT_TRUE(store_->Commit({PutCheckpoint{MakeCheckpoint("j2", 1)}, PutCheckpoint{MakeCheckpoint("j1", 10)}, PutCheckpoint{five}}).ok());
  five.resource.set_size_bytes(99);
  ASSERT_TRUE(store_->Commit({PutCheckpoint{five}, RemoveCheckpoint{"j1", 77}}).ok());
  auto checkpoints = *store_->LoadCheckpoints();
  ASSERT_EQ(checkpoints.size(), 3u);
  EXPECT_EQ(checkpoints[0].step, 5);
  EXPECT_EQ(checkpoints[0].directory, "step-5");
  EXPECT_EQ(checkpoints[0].resource.size_bytes(), 99);
  EXPECT_EQ(checkpoints[1].step, 10);
  EXPECT_EQ(checkpoints[2].job_id, "j2");
  ASSERT_TRUE(store_->Commit({RemoveCheckpoint{"j1", 5}}).ok());
  EXPECT_EQ(store_->LoadCheckpoints()->size(), 2u);
}

TEST_P(JobStoreContract, RemovingAJobTakesItsCheckpointsAndEventsAndNoOthers) {
  ASSERT_TRUE(store_
                  ->Commit({PutJob{MakeJob("j1", 1)}, PutJob{MakeJob("j2", 2)}, PutCheckpoint{MakeCheckpoint("j1", 1)},
                            PutCheckpoint{MakeCheckpoint("j2", 1)}, AddEvent{MakeEvent("j1", 1)}, AddEvent{MakeEvent("j2", 1)}})
                  .ok());
  ASSERT_TRUE(store_->Commit({RemoveJob{"j1"}, RemoveJob{"absent"}}).ok());
  EXPECT_EQ(store_->LoadJobs()->size(), 1u);
  EXPECT_EQ(store_->LoadCheckpoints()->size(), 1u);
  EXPECT_THAT(Sequences("j1"), IsEmpty());
  EXPECT_THAT(Sequences("j2"), ElementsAre(1));
}

TEST_P(JobStoreContract, EventsAreReadByRangeLimitAndKind) {
  const std::vector<EventKind> kinds = {EventKind::kLasting, EventKind::kMetric,  EventKind::kMetric,  EventKind::kLogLine,
                                        EventKind::kLasting, EventKind::kLogLine, EventKind::kTerminal};
  std::vector<JobChange> changes;
  for (size_t i = 0; i < kinds.size(); ++i) changes.push_back(AddEvent{MakeEvent("j1", static_cast<int64_t>(i) + 1, kinds[i])});
  ASSERT_TRUE(store_->Commit(changes).ok());
  EXPECT_THAT(Sequences("j1"), ElementsAre(1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(Sequences("j1", {.after = 2, .up_to = 5}), ElementsAre(3, 4, 5));
  EXPECT_THAT(Sequences("j1", {.after = 2, .limit = 2}), ElementsAre(3, 4));
  EXPECT_THAT(Sequences("j1", {.filter = EventFilter::kMetrics}), ElementsAre(2, 3));
  EXPECT_THAT(Sequences("j1", {.filter = EventFilter::kNotDroppable}), ElementsAre(1, 5, 7));
  EXPECT_THAT(Sequences("j1", {.after = 7}), IsEmpty());
  auto events = *store_->ReadEvents("j1", {.after = 6});
  EXPECT_EQ(events[0].job_id, "j1");
  EXPECT_EQ(events[0].kind, EventKind::kTerminal);
  EXPECT_EQ(events[0].bytes, MakeEvent("j1", 7).bytes);
  EXPECT_EQ(store_->LastEvent("j1")->sequence, 7);
  EXPECT_EQ(store_->LastEvent("j1")->kind, EventKind::kTerminal);
}

TEST_P(JobStoreContract, SurvivesReopening) {
  if (!place_->Persistent()) GTEST_SKIP() << "keeps nothing by design";
  ASSERT_TRUE(store_->Commit({PutJob{MakeJob("j1", 1)}, PutCheckpoint{MakeCheckpoint("j1", 3)}, AddEvent{MakeEvent("j1", 1)}}).ok());
  store_ = nullptr;
  store_ = place_->Open();
  EXPECT_EQ(store_->LoadJobs()->size(), 1u);
  EXPECT_EQ(store_->LoadCheckpoints()->size(), 1u);
  EXPECT_EQ(store_->LastEvent("j1")->sequence, 1);
}

class SqlitePlace final : public StorePlace {
 public:
  std::unique_ptr<JobStore> Open() override {
    database_ = nullptr;  // as in a new process
    database_ = Database::Open(directory_.path() + "/attune.db").value();
    return SqliteJobStore::Create(*database_).value();
  }
  bool Persistent() const override { return true; }

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<Database> database_;
};

class MemoryPlace final : public StorePlace {
 public:
  std::unique_ptr<JobStore> Open() override { return std::make_unique<MemoryJobStore>(); }
  bool Persistent() const override { return false; }
};

INSTANTIATE_TEST_SUITE_P(Stores, JobStoreContract,
                         ::testing::Values(StoreKind{"Sqlite", [] { return std::make_unique<SqlitePlace>(); }},
                                           StoreKind{"Memory", [] { return std::make_unique<MemoryPlace>(); }}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace attune::jobs
