// Creation, reading and listing of jobs.
#include <thread>

#include "gmock/gmock.h"
#include "server/jobs/violations.h"
#include "tests/server/scheduler/scheduler_fixture.h"

namespace attune::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class CreateTest : public SchedulerFixture {
 protected:
  void SetUp() override {
    idle_at_start_ = 0;  // nothing starts by itself
    Start();
  }
};

TEST_F(CreateTest, ResolvesQueuesAndIsDurable) {
  v1::CreateFineTuningJobRequest request = Request();
  (*request.mutable_labels())["team"] = "nlp";
  absl::StatusOr<v1::FineTuningJob> job = Create(request);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_THAT(job->name(), HasSubstr("fineTuningJobs/j"));
  EXPECT_EQ(job->display_name(), "Mini on Tweets");
  EXPECT_EQ(job->labels().at("team"), "nlp");
  EXPECT_EQ(job->state(), State::STATE_QUEUED);
  EXPECT_EQ(job->jobs_ahead(), 0);
  EXPECT_EQ(job->effective_spec().hyperparameters().batch_size(), 32);
  EXPECT_FALSE(job->spec().hyperparameters().has_batch_size()) << "what was asked for stays as it was";
  EXPECT_THAT(job->class_labels(), ElementsAre("bad", "good"));
  EXPECT_EQ(job->create_time().seconds(), absl::ToUnixSeconds(clock_.Now()));
  EXPECT_THAT(*store_.LoadJobs(), SizeIs(1));
  std::vector<v1::JobEvent> events = Events(job->name());
  EXPECT_EQ(events[0].state_changed().to(), "QUEUED");
  EXPECT_EQ(events[0].state_changed().from(), "");
  EXPECT_EQ(events[1].level(), v1::JobEvent::LEVEL_WARNING);
  EXPECT_THAT(events[1].message(), HasSubstr("\"good\" has 5 training rows"));
}

TEST_F(CreateTest, AllViolationsComeAtOnce) {
  v1::CreateFineTuningJobRequest request = Request();
  request.set_display_name(std::string(300, 'x'));
  request.mutable_spec()->mutable_hyperparameters()->set_n_epochs(0);
  request.mutable_spec()->mutable_resources()->set_device("gpu");
  absl::Status status = Create(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(jobs::ViolationsOf(status), SizeIs(3));
  EXPECT_THAT(std::string(status.message()), HasSubstr("spec.hyperparameters.n_epochs"));
}

TEST_F(CreateTest, UnknownModelAndDatasetNameTheNearest) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->set_base_model("models/mni");
  absl::Status status = Create(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("models/mni does not exist; did you mean models/mini?"));
  request = Request();
  request.mutable_spec()->set_dataset("datasets/none");
  EXPECT_THAT(std::string(Create(request).status().message()), HasSubstr("datasets/none does not exist"));
  request.mutable_spec()->set_dataset("tweets");
  status = Create(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(jobs::ViolationsOf(status).at(0).field, "spec.dataset");
  EXPECT_EQ(Create({}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CreateTest, ImageJobsAreResolved) {
  absl::StatusOr<v1::FineTuningJob> job = Create(ImageRequest());
  ASSERT_TRUE(job.ok()) << job.status();
  const v1::FineTuningSpec& spec = job->effective_spec();
  EXPECT_EQ(spec.task(), v1::TASK_IMAGE_CLASSIFICATION);
  EXPECT_EQ(spec.hyperparameters().image_size(), 64);
  EXPECT_EQ(spec.hyperparameters().n_epochs(), 5);
  EXPECT_TRUE(spec.augmentation().enabled());
  EXPECT_TRUE(spec.phases(1).augment());
}

TEST_F(CreateTest, AModelOfTheWrongKindNamesThoseThatFit) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->set_dataset("datasets/flowers");
  absl::Status status = Create(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("models/mini is a model of texts, and datasets/flowers holds images; choose a model of images (models/photo fits)"));
  ASSERT_THAT(jobs::ViolationsOf(status), SizeIs(1));
  EXPECT_EQ(jobs::ViolationsOf(status).at(0).field, "spec.base_model");
}

TEST_F(CreateTest, ValidateOnlyQueuesNothing) {
  v1::CreateFineTuningJobRequest request = Request();
  request.set_validate_only(true);
  request.set_request_id("r");
  absl::StatusOr<v1::FineTuningJob> job = Create(request);
  ASSERT_TRUE(job.ok());
  EXPECT_EQ(job->name(), "");
  EXPECT_EQ(job->effective_spec().phases_size(), 2);
  EXPECT_THAT(*store_.LoadJobs(), SizeIs(0));
  EXPECT_FALSE(scheduler_->IsInUse("models/mini"));
}

TEST_F(CreateTest, ARepeatedRequestGetsTheFirstJobAndAnotherPayloadAnError) {
  v1::CreateFineTuningJobRequest request = Request();
  request.set_request_id("r1");
  (*request.mutable_labels())["a"] = "1";
  (*request.mutable_labels())["b"] = "2";
  std::string name = Create(request)->name();
  EXPECT_EQ(Create(request)->name(), name);
  request.mutable_labels()->erase("a");
  EXPECT_EQ(Create(request).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(Create(request).status().message()), HasSubstr("request_id"));
  (*request.mutable_labels())["a"] = "1";
  Crash();
  EXPECT_EQ(Create(request)->name(), name) << "after a restart too";
  ASSERT_TRUE(Cancel(name).ok());
  WaitForState(name, State::STATE_CANCELLED);
  ASSERT_TRUE(Delete(name).ok());
  EXPECT_NE(Create(request)->name(), name);
}

TEST_F(CreateTest, WhatIsNotAdmittedMakesNoJobAndARepeatIsAnswered) {
  v1::CreateFineTuningJobRequest request = Request();
  request.set_request_id("r1");
  const std::string name = Create(request)->name();
  const absl::Status full = absl::ResourceExhaustedError("the project is full");
  EXPECT_EQ(Create(request, full)->name(), name) << "it was made already";
  request.set_request_id("r2");
  EXPECT_EQ(Create(request, full).status(), full);
  EXPECT_THAT(*store_.LoadJobs(), SizeIs(1));
  EXPECT_TRUE(Create(request).ok()) << "the request_id was not used up";
}

TEST_F(CreateTest, SimultaneousRepeatsMakeOneJob) {
  v1::CreateFineTuningJobRequest request = Request();
  request.set_request_id("r1");
  std::vector<std::string> names(8);
  std::vector<std::thread> threads;
  for (std::string& name : names) threads.emplace_back([&] { name = Create(request)->name(); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& name : names) EXPECT_EQ(name, names[0]);
  EXPECT_THAT(*store_.LoadJobs(), SizeIs(1));
}

TEST_F(CreateTest, AFullDiskRefusesAndLeavesNothing) {
  v1::CreateFineTuningJobRequest request = Request();
  request.set_request_id("r1");
  store_.FailCommits(absl::ResourceExhaustedError("No space left on device"));
  EXPECT_EQ(Create(request).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(scheduler_->ListJobs({}, ProjectSet::All())->fine_tuning_jobs_size(), 0);
  EXPECT_FALSE(scheduler_->IsInUse("datasets/tweets"));
  store_.ClearFault();
  EXPECT_TRUE(Create(request).ok()) << "the request_id was not used up";
}

TEST_F(CreateTest, WaitingJobsSayWhyAndHowManyAreAhead) {
  std::string first = Create()->name(), second = Create()->name(), third = Create()->name();
  EXPECT_EQ(Get(third).jobs_ahead(), 2);
  Settle();
  EXPECT_THAT(Get(first).state_reason(), HasSubstr("worker"));
  EXPECT_THAT(Get(third).state_reason(), HasSubstr("2 jobs before it"));
  ASSERT_TRUE(Cancel(first).ok());
  Settle();
  EXPECT_EQ(Get(third).jobs_ahead(), 1);
  EXPECT_EQ(Get(second).jobs_ahead(), 0);
  pool_->SetStatus({.idle = 0, .trouble = "exit code 127"});
  Settle();
  EXPECT_THAT(Get(second).state_reason(), HasSubstr("exit code 127"));
  EXPECT_EQ(scheduler_->Counts().queued, 2);
}

TEST_F(CreateTest, ListsNewestFirstByPageAndFilter) {
  std::vector<std::string> names;
  for (int i = 0; i < 5; ++i) {
    v1::CreateFineTuningJobRequest request = Request();
    (*request.mutable_labels())["parity"] = i % 2 == 0 ? "even" : "odd";
    names.push_back(Create(request)->name());
  }
  v1::ListFineTuningJobsRequest request;
  request.set_page_size(2);
  request.set_filter("labels.parity = even");
  v1::ListFineTuningJobsResponse page = scheduler_->ListJobs(request, ProjectSet::All()).value();
  ASSERT_EQ(page.fine_tuning_jobs_size(), 2);
  EXPECT_EQ(page.fine_tuning_jobs(0).name(), names[4]);
  EXPECT_EQ(page.fine_tuning_jobs(1).name(), names[2]);
  request.set_page_token(page.next_page_token());
  page = scheduler_->ListJobs(request, ProjectSet::All()).value();
  ASSERT_EQ(page.fine_tuning_jobs_size(), 1);
  EXPECT_EQ(page.fine_tuning_jobs(0).name(), names[0]);
  EXPECT_EQ(page.next_page_token(), "");
  request.set_filter("");
  EXPECT_EQ(scheduler_->ListJobs(request, ProjectSet::All()).status().code(), absl::StatusCode::kInvalidArgument) << "a token of another filter";
  request.set_page_token("garbage");
  EXPECT_THAT(std::string(scheduler_->ListJobs(request, ProjectSet::All()).status().message()), HasSubstr("page_token"));
  request.clear_page_token();
  request.set_filter("stat = RUNNING");
  EXPECT_THAT(std::string(scheduler_->ListJobs(request, ProjectSet::All()).status().message()), HasSubstr("state"));
  request.Clear();
  request.set_page_size(-1);
  EXPECT_EQ(scheduler_->ListJobs(request, ProjectSet::All()).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CreateTest, ResourcesAreInUseUntilTheJobEnds) {
  EXPECT_FALSE(scheduler_->IsInUse("models/mini"));
  std::string name = Create()->name();
  EXPECT_TRUE(scheduler_->IsInUse("models/mini"));
  EXPECT_TRUE(scheduler_->IsInUse("datasets/tweets"));
  EXPECT_FALSE(scheduler_->IsInUse("datasets/other"));
  ASSERT_TRUE(Cancel(name).ok());
  EXPECT_FALSE(scheduler_->IsInUse("models/mini"));
}

TEST_F(CreateTest, AReplayedDatasetIsInUseAsTheFirstIs) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_replay()->set_dataset("datasets/reviews");
  request.mutable_spec()->mutable_replay()->set_fraction(0.25);
  std::string name = Create(request)->name();
  EXPECT_TRUE(scheduler_->IsInUse("datasets/reviews"));
  EXPECT_TRUE(scheduler_->IsInUse("datasets/tweets"));
  ASSERT_TRUE(Cancel(name).ok());
  EXPECT_FALSE(scheduler_->IsInUse("datasets/reviews"));
}

TEST_F(CreateTest, AReplayedDatasetMustExistAndFit) {
  v1::CreateFineTuningJobRequest request = Request();
  request.mutable_spec()->mutable_replay()->set_fraction(0.25);
  request.mutable_spec()->mutable_replay()->set_dataset("datasets/revews");
  absl::Status status = Create(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("spec.replay.dataset: datasets/revews does not exist"));
  request.mutable_spec()->mutable_replay()->set_dataset("models/mini");
  EXPECT_THAT(std::string(Create(request).status().message()), HasSubstr("spec.replay.dataset"));
  request.mutable_spec()->mutable_replay()->set_dataset("datasets/flowers");
  EXPECT_THAT(std::string(Create(request).status().message()), HasSubstr("datasets/flowers holds images"));
  EXPECT_FALSE(scheduler_->IsInUse("datasets/flowers"));
}

TEST_F(CreateTest, BadAndUnknownNames) {
  for (const char* name : {"", "jobs/x", "fineTuningJobs/", "fineTuningJobs/../../etc", "fineTuningJobs/a/b"}) {
    EXPECT_EQ(scheduler_->GetJob(name).status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(Cancel(name).status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(Delete(name).code(), absl::StatusCode::kInvalidArgument) << name;
  }
  EXPECT_EQ(scheduler_->GetJob("fineTuningJobs/none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Cancel("fineTuningJobs/none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Delete("fineTuningJobs/none").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(scheduler_->GetCheckpoint("fineTuningJobs/none/checkpoints/1").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(scheduler_->GetCheckpoint("fineTuningJobs/none/checkpoints/x").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace attune::scheduler
