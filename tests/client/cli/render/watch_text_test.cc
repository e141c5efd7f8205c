#include "client/cli/render/watch_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "client/cli/render/format.h"
#include "google/protobuf/text_format.h"

namespace attune::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int64_t kStart = 1'800'000'000;
const Style kPlain{.colour = false, .unicode = true, .width = 100};

v1::JobEvent Event(int64_t seconds, const std::string& text) {
  v1::JobEvent event;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &event)) << text;
  event.mutable_create_time()->set_seconds(kStart + seconds);
  return event;
}

v1::JobEvent Metrics(int64_t seconds, int64_t step, double loss) {
  v1::JobEvent event = Event(seconds,
                             "metrics { epoch: 1.25 phase: 'all' values { key: 'learning_rate' value: 3e-5 } values { "
                             "key: 'samples_per_second' value: 423.12 } }");
  event.mutable_metrics()->set_step(step);
  (*event.mutable_metrics()->mutable_values())["loss"] = loss;
  return event;
}

v1::FineTuningJob Job(int64_t total_steps) {
  v1::FineTuningJob job;
  job.set_name("fineTuningJobs/j1");
  job.mutable_spec()->set_base_model("models/minilm");
  job.mutable_spec()->set_dataset("datasets/reviews");
  job.mutable_effective_spec()->add_phases();
  job.mutable_effective_spec()->add_phases();
  job.mutable_progress()->set_total_steps(total_steps);
  job.mutable_progress()->set_eta_seconds(total_steps > 0 ? 40 : 0);
  return job;
}

absl::Time At(int64_t seconds) { return absl::FromUnixSeconds(kStart + seconds); }

JobView RunningView() {
  JobView view;
  Apply(Job(200), At(10), &view);
  Apply(Event(0, "state_changed { to: 'QUEUED' }"), &view);
  Apply(Event(1, "state_changed { from: 'QUEUED' to: 'RUNNING' }"), &view);
  Apply(Event(2, "phase_started { phase: 'all' index: 1 trainable_parameters: 22000000 total_parameters: 22700000 }"),
        &view);
  for (int step = 93; step <= 100; ++step) Apply(Metrics(3, step, 101 - step), &view);
  Apply(Event(8,
              "evaluation { step: 100 split: 'validation' rows: 50 is_best: true values { key: 'accuracy' value: 0.712 "
              "} values { key: 'f1_macro' value: 0.69 } }"),
        &view);
  Apply(Event(9, "checkpoint_saved { checkpoint: 'fineTuningJobs/j1/checkpoints/100' step: 100 is_best: true }"),
        &view);
  return view;
}

TEST(LiveViewTest, ShowsEverythingAboutARunningJob) {
  EXPECT_EQ(absl::StrJoin(LiveView(RunningView(), At(20), kPlain), "\n"),
            "fineTuningJobs/j1  RUNNING  20 s  minilm on reviews\n"
            "  phase       2/2 all, 22,000,000 of 22,700,000 values learn\n"
            "  progress    ████████████████████░░░░░░░░░░░░░░░░░░░░  50 %  step 100/200  epoch 1.3  0:30 to go\n"
            "  speed       423.1 samples/s  learning rate 3e-05\n"
            "  loss        1  █▇▆▅▄▃▂▁\n"
            "  validation  step 100  accuracy 0.712  F1 0.69  best\n"
            "  checkpoints 100 best");
}

TEST(LiveViewTest, AQueuedJobSaysWhatItWaitsFor) {
  JobView view;
  v1::FineTuningJob job = Job(0);
  job.set_jobs_ahead(2);
  Apply(job, At(0), &view);
  Apply(Event(0, "state_changed { to: 'QUEUED' reason: 'all workers are busy' }"), &view);
  EXPECT_EQ(absl::StrJoin(LiveView(view, At(5), kPlain), "\n"),
            "fineTuningJobs/j1  QUEUED  5.0 s  minilm on reviews\n"
            "  why         all workers are busy\n"
            "  ahead       2 jobs");
}

TEST(LiveViewTest, TheServersNewestWordOnWaitingGoesBeforeTheEvent) {
  JobView view;
  Apply(Event(0, "state_changed { to: 'QUEUED' reason: 'all workers are busy' }"), &view);
  v1::FineTuningJob job = Job(0);
  job.set_state(v1::FineTuningJob::STATE_QUEUED);
  job.set_state_reason("waits for 1 job before it");
  job.set_jobs_ahead(1);
  Apply(job, At(3), &view);
  EXPECT_THAT(absl::StrJoin(LiveView(view, At(5), kPlain), "\n"), ::testing::HasSubstr("  why         waits for 1 job before it\n"));
}

TEST(LiveViewTest, NoLineIsWiderThanTheTerminal) {
  for (int width : {20, 40, 60, 80, 200}) {
    for (bool colour : {false, true}) {
      for (const std::string& line :
           LiveView(RunningView(), At(20), {.colour = colour, .unicode = true, .width = width})) {
        EXPECT_LE(DisplayWidth(line), width) << line;
      }
    }
  }
}

TEST(LiveViewTest, TimeStandsStillAtTheEnd) {
  JobView view = RunningView();
  Apply(Event(30, "state_changed { from: 'RUNNING' to: 'SUCCEEDED' terminal: true }"), &view);
  EXPECT_THAT(LiveView(view, At(500), kPlain).front(), HasSubstr("SUCCEEDED  30 s"));
  EXPECT_THAT(absl::StrJoin(LiveView(view, At(500), kPlain), "\n"), Not(HasSubstr("to go")));
}

TEST(LiveViewTest, WarningsAreShownInOneLine) {
  JobView view = RunningView();
  Apply(Event(10, "level: LEVEL_WARNING message: 'class bad\\nhas 3 rows'"), &view);
  EXPECT_THAT(LiveView(view, At(20), kPlain).back(), HasSubstr("class bad has 3 rows"));
}

TEST(RedrawTest, ReplacesTheBlockBefore) {
  EXPECT_EQ(Redraw(0, {"a", "b"}), "\r\x1b[2Ka\n\r\x1b[2Kb\n");
  EXPECT_EQ(Redraw(3, {"a"}), "\x1b[3A\r\x1b[2Ka\n\x1b[J");
}

TEST(JobViewTest, ANewAttemptRepeatsStepsAndTheCurveForgetsThem) {
  JobView view;
  for (int i = 1; i <= 5; ++i) Apply(Metrics(i, i, i), &view);
  Apply(Metrics(9, 3, 30), &view);
  EXPECT_EQ(view.step, 3);
  EXPECT_THAT(view.losses, ElementsAre(std::pair<int64_t, double>(1, 1), std::pair<int64_t, double>(2, 2),
                                       std::pair<int64_t, double>(3, 30)));
}

TEST(JobViewTest, KeepsTheLastAndTheBestEvaluation) {
  JobView view;
  Apply(Event(1, "evaluation { step: 1 is_best: true }"), &view);
  Apply(Event(2, "evaluation { step: 2 }"), &view);
  EXPECT_EQ(view.evaluation->step(), 2);
  EXPECT_EQ(view.best_evaluation->step(), 1);
}

TEST(JobViewTest, TheTimeToGoRunsDownBetweenEstimates) {
  JobView view = RunningView();
  EXPECT_EQ(EtaSeconds(view, At(20)), 30);
  EXPECT_EQ(EtaSeconds(view, At(500)), 0);
  view.job.mutable_progress()->set_eta_seconds(0);
  EXPECT_FALSE(EtaSeconds(view, At(20)).has_value());
}

class PlainLogTest : public ::testing::Test {
 protected:
  std::vector<std::string> Feed(const v1::JobEvent& event) {
    Apply(event, &view_);
    std::vector<std::string> lines = log_.Lines(event, view_, At(0));
    for (std::string& line : lines) line = line.substr(line.find("  ") + 2);  // the time depends on the zone
    return lines;
  }
  JobView view_;
  PlainLog log_{kPlain};
};

TEST_F(PlainLogTest, OneLineForWhatMatters) {
  Apply(Job(0), At(0), &view_);
  EXPECT_THAT(Feed(Event(0, "state_changed { to: 'QUEUED' reason: 'waits for a worker' }")),
              ElementsAre("QUEUED: waits for a worker"));
  EXPECT_THAT(
      Feed(Event(1, "phase_started { phase: 'head' index: 0 trainable_parameters: 770 total_parameters: 1000 }")),
      ElementsAre("phase 1/2 head, 770 of 1,000 values learn"));
  EXPECT_THAT(Feed(Event(2, "evaluation { step: 3 split: 'validation' rows: 1000 values { key: 'loss' value: 0.5 } }")),
              ElementsAre("evaluation on validation (1,000 rows) at step 3  loss 0.5"));
  EXPECT_THAT(Feed(Event(3, "checkpoint_saved { checkpoint: 'fineTuningJobs/j1/checkpoints/3' is_best: true }")),
              ElementsAre("checkpoint j1/3 best"));
  EXPECT_THAT(Feed(Event(4, "level: LEVEL_WARNING message: 'careful'")), ElementsAre("careful"));
  EXPECT_THAT(Feed(Event(5, "level: LEVEL_INFO message: 'chatter' log_line { text: 'x' }")), IsEmpty());
  EXPECT_THAT(Feed(Event(6, "state_changed { from: 'RUNNING' to: 'SUCCEEDED' terminal: true }")),
              ElementsAre("SUCCEEDED"));
}

TEST_F(PlainLogTest, ProgressEachTenth) {
  v1::FineTuningJob job = Job(200);
  job.mutable_progress()->clear_eta_seconds();
  Apply(job, At(0), &view_);
  std::vector<std::string> lines;
  for (int step = 1; step <= 200; ++step) {
    for (const std::string& line : Feed(Metrics(step, step, 0.5))) lines.push_back(line);
  }
  ASSERT_EQ(lines.size(), 11u);
  EXPECT_EQ(lines[0], "0 %  step 1/200  epoch 1.3  loss 0.5  423.1 samples/s  learning rate 3e-05");
  EXPECT_THAT(lines[1], HasSubstr("10 %  step 20/200"));
  EXPECT_THAT(lines[10], HasSubstr("100 %  step 200"));
}

TEST_F(PlainLogTest, ANewAttemptIsReportedAgainFromWhereItStarts) {
  Apply(Job(100), At(0), &view_);
  for (int step = 1; step <= 50; ++step) Feed(Metrics(step, step, 0.5));
  EXPECT_THAT(Feed(Metrics(60, 20, 0.5)), ElementsAre(HasSubstr("20 %  step 20/100")));
  EXPECT_THAT(Feed(Metrics(61, 21, 0.5)), IsEmpty());
}

TEST_F(PlainLogTest, WithoutATotalOnlyTheFirstStep) {
  Apply(Job(0), At(0), &view_);
  EXPECT_THAT(Feed(Metrics(1, 1, 0.5)), ElementsAre(HasSubstr("step 1")));
  EXPECT_THAT(Feed(Metrics(2, 2, 0.5)), IsEmpty());
}

TEST_F(PlainLogTest, AsksForTheJobWhenItIsNeededAndNotTooOften) {
  Apply(Job(0), At(0), &view_);
  const v1::JobEvent first = Metrics(1, 1, 0.5);
  Apply(first, &view_);
  EXPECT_FALSE(log_.WantsJob(first, view_, At(0)));
  EXPECT_TRUE(log_.WantsJob(first, view_, At(1)));
  Apply(Job(200), At(1), &view_);
  log_.Lines(first, view_, At(1));
  EXPECT_FALSE(log_.WantsJob(first, view_, At(5))) << "no line is due";
  EXPECT_TRUE(log_.WantsJob(Event(1, "phase_started { phase: 'all' }"), view_, At(5)));
  EXPECT_FALSE(log_.WantsJob(Event(1, "log_line { text: 'x' }"), view_, At(5)));
}

}  // namespace
}  // namespace attune::cli
