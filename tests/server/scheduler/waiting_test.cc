// What waiting jobs say: their order, why they wait, and when that has changed.
#include <algorithm>
#include <map>
#include <tuple>

#include "gmock/gmock.h"
#include "server/base/str_cat.h"
#include "tests/server/scheduler/scheduler_fixture.h"

namespace attune::scheduler {
namespace {

using ::testing::HasSubstr;

class WaitingTest : public SchedulerFixture {
 protected:
  void SetUp() override {
    idle_at_start_ = 0;
    Start({.job_slots = 2, .aging_interval = absl::InfiniteDuration()});
  }
  static v1::CreateFineTuningJobRequest Job(int priority, const std::string& project) {
    v1::CreateFineTuningJobRequest request = Request();
    request.mutable_spec()->mutable_scheduling()->set_priority(priority);
    request.mutable_spec()->mutable_scheduling()->set_project(project);
    return request;
  }
  void SayProgress(const worker::v1::Assign& assigned, double eta_seconds) {
    worker::v1::ConnectRequest message = Message(assigned);
    message.mutable_progress()->set_step(1);
    message.mutable_progress()->set_eta_seconds(eta_seconds);
    pool_->Say(message);
  }
  void FailForGood(const worker::v1::Assign& assigned) {
    worker::v1::Failed failed;
    failed.set_category(v1::FailureInfo::CATEGORY_USER);
    failed.set_message("the spec is wrong");
    pool_->End(AttemptOf(assigned), failed);
  }
  // For longer than jobs are expected to: what those that run will still take changes no order when they end.
  void TrainForLong() { clock_.Advance(absl::Seconds(70)); }
  // Jobs that wait, in the order that they say.
  std::vector<v1::FineTuningJob> Waiting() {
    v1::ListFineTuningJobsRequest request;
    request.set_page_size(1000);
    request.set_filter("state = QUEUED");
    const v1::ListFineTuningJobsResponse list = scheduler_->ListJobs(request, ProjectSet::All()).value();
    std::vector<v1::FineTuningJob> jobs(list.fine_tuning_jobs().begin(), list.fine_tuning_jobs().end());
    std::sort(jobs.begin(), jobs.end(), [](const auto& a, const auto& b) { return a.jobs_ahead() < b.jobs_ahead(); });
    return jobs;
  }
};

TEST_F(WaitingTest, AQuotaIsTheReasonOfItsProjectAlone) {
  Crash({.job_slots = 2, .most_running_jobs = [](const std::string& project) { return project == "small" ? 1 : 0; }});
  pool_->SetStatus({.idle = 2});
  Create(Job(0, "small"));
  const worker::v1::Assign first = pool_->WaitForAssign(1);
  SayStarted(first);
  const std::string held = Create(Job(9, "small"))->name();
  Settle();
  EXPECT_EQ(Get(held).blocking_resource(), "quota");
  EXPECT_THAT(Get(held).state_reason(), HasSubstr("the project's quota"));
  const std::string other = Create(Job(0, "large"))->name();
  EXPECT_EQ(pool_->WaitForAssign(2).fence().job(), other) << "it is not held up";
  FailForGood(first);
  EXPECT_EQ(pool_->WaitForAssign(3).fence().job(), held);
}

TEST_F(WaitingTest, AThousandJobsOnTwoSlotsSayTheirPlaceAndStartInThatOrder) {
  struct Expected {
    int priority;
    std::string project;
    int order;
    std::string name;
  };
  std::vector<Expected> expected;
  for (int i = 0; i < 1000; ++i) {
    const int priority = i % 3 - 1;
    const std::string project = i % 7 < 4 ? "large" : i % 7 < 6 ? "middle" : "small";
    expected.push_back({priority, project, i, Create(Job(priority, project))->name()});
  }
  // No project has trained yet, so they take turns; what a project gets of a higher priority counts.
  const auto rank = [](std::vector<Expected>& jobs) {
    std::sort(jobs.begin(), jobs.end(), [](const Expected& a, const Expected& b) { return std::tuple(-a.priority, a.order) < std::tuple(-b.priority, b.order); });
    std::map<std::string, int> had;
    for (auto next = jobs.begin(); next != jobs.end(); ++next) {
      auto best = next;
      for (auto other = next; other != jobs.end() && other->priority == next->priority; ++other) {
        if (had[other->project] < had[best->project]) best = other;  // the oldest of its project: the others are by age
      }
      ++had[best->project];
      std::rotate(next, best, best + 1);
    }
  };
  rank(expected);
  pool_->SetStatus({.idle = 2});
  size_t started = 0;
  std::vector<worker::v1::Assign> running;
  const auto start_next = [&] {
    running.push_back(pool_->WaitForAssign(++started));
    ASSERT_EQ(running.back().fence().job(), expected[started - 1].name) << "start " << started;
    SayStarted(running.back());
  };
  start_next();
  start_next();
  expected.erase(expected.begin(), expected.begin() + 2);
  for (int ends = 0; ends < 40; ++ends) {
    SayProgress(running[0], 100);
    SayProgress(running[1], 200);
    // For the next prediction; the first comes as soon as the running jobs say when they will end, and no project has trained by then.
    if (ends > 0) TrainForLong();
    Settle();
    const std::vector<v1::FineTuningJob> waiting = Waiting();
    ASSERT_EQ(waiting.size(), 1000 - started);
    for (size_t i = 0; i < waiting.size(); i += ends == 0 ? 1 : 37) {
      const v1::FineTuningJob& job = waiting[i];
      ASSERT_EQ(job.jobs_ahead(), static_cast<int>(i));
      if (ends == 0) {
        ASSERT_EQ(job.name(), expected[i].name) << "place " << i << ", job " << job.spec().scheduling().project() << " of priority " << job.priority();
      }
      EXPECT_EQ(job.blocking_resource(), "job_slots");
      EXPECT_EQ(job.state_reason(), i == 0 ? std::string("waits for one of 2 running jobs to end") : i == 1 ? std::string("waits for 1 job before it") : StrCat("waits for ", i, " jobs before it"));
      ASSERT_EQ(job.has_predicted_start_time(), i < 2) << "two slots will come free that somebody knows of";
    }
    // The first of them is the next to start, whatever the projects have had by then.
    if (ends == 0) TrainForLong();
    Settle();
    const std::string next = Waiting()[0].name();
    FailForGood(running[0]);
    running.erase(running.begin());
    running.push_back(pool_->WaitForAssign(++started));
    ASSERT_EQ(running.back().fence().job(), next);
    SayStarted(running.back());
  }
}

TEST_F(WaitingTest, TheVersionChangesWhenWhatIsSaidChangesAndNotOtherwise) {
  const std::string first = Create()->name(), second = Create()->name(), third = Create()->name();
  Settle();
  const int64_t of_first = scheduler_->WaitingVersion(first), of_third = scheduler_->WaitingVersion(third);
  EXPECT_NE(of_first, 0);
  EXPECT_NE(of_third, 0);
  pool_->SetStatus({.idle = 0});
  clock_.Advance(absl::Seconds(6));
  Settle();
  EXPECT_EQ(scheduler_->WaitingVersion(first), of_first) << "placed again, and nothing is new";
  EXPECT_EQ(scheduler_->WaitingVersion(third), of_third);
  pool_->SetStatus({.trouble = "the disk is full"});
  Settle();
  EXPECT_NE(scheduler_->WaitingVersion(first), of_first) << "another reason";
  EXPECT_EQ(scheduler_->WaitingVersion(third), of_third) << "still waits for two jobs";
  ASSERT_TRUE(Cancel(second).ok());
  Settle();
  EXPECT_NE(scheduler_->WaitingVersion(third), of_third) << "another place";
  EXPECT_EQ(scheduler_->WaitingVersion(second), 0) << "it has ended";
  EXPECT_EQ(scheduler_->WaitingVersion("fineTuningJobs/none"), 0);
  EXPECT_EQ(scheduler_->WaitingVersion("none"), 0);
}

TEST_F(WaitingTest, APredictionThatHardlyMovesIsNoNews) {
  Stop();
  idle_at_start_ = 1;
  Start({.job_slots = 1});
  const worker::v1::Assign running = Run();
  const std::string waiting = Create()->name();
  const auto predict = [&](double eta) {
    SayProgress(running, eta);
    Settle();
    clock_.Advance(absl::Seconds(6));
    Settle();
    return std::pair(scheduler_->WaitingVersion(waiting), Get(waiting).predicted_start_time().seconds());
  };
  const auto before = predict(100);
  EXPECT_NE(before.second, 0);
  EXPECT_EQ(predict(94.3), before) << "0.3 s later";
  EXPECT_NE(predict(100).first, before.first) << "twelve seconds later";
}

}  // namespace
}  // namespace attune::scheduler
