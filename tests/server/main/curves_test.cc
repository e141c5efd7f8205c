#include "server/main/curves.h"

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/fakes/fake_scheduler.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/memory_job_store.h"

namespace attune {
namespace {

using nlohmann::json;

class CurvesTest : public ::testing::Test {
 protected:
  CurvesTest() {
    v1::FineTuningJob job;
    job.set_name("fineTuningJobs/j1");
    job.set_display_name("Run \"1\"");
    job.set_state(v1::FineTuningJob::STATE_RUNNING);
    job.mutable_spec()->set_base_model("models/mini");
    scheduler_.PutJob(job);
  }

  void Say(int64_t step, const std::map<std::string, double>& values) {
    v1::JobEvent event;
    event.set_attempt(1);
    event.mutable_metrics()->set_step(step);
    event.mutable_metrics()->set_phase("head");
    for (const auto& [name, value] : values) (*event.mutable_metrics()->mutable_values())[name] = value;
    log_->Append("j1", event);
  }
  json Get(const std::string& path, int status = 200) {
    EXPECT_TRUE(log_->Flush().ok());
    const metrics::HttpReply reply = curves_.Answer({.path = path});
    EXPECT_EQ(reply.status, status) << reply.body;
    return json::parse(reply.body);
  }

  FakeScheduler scheduler_;
  ManualClock clock_;
  jobs::MemoryJobStore store_;
  std::unique_ptr<jobs::JobEventLog> log_ = jobs::JobEventLog::Create(store_, clock_).value();
  Curves curves_{scheduler_, *log_};
};

TEST_F(CurvesTest, JobsAreListed) {
  const json jobs = Get("/jobs");
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0]["job"], "fineTuningJobs/j1");
  EXPECT_EQ(jobs[0]["display_name"], "Run \"1\"");
  EXPECT_EQ(jobs[0]["state"], "RUNNING");
  EXPECT_EQ(jobs[0]["model"], "models/mini");
}

TEST_F(CurvesTest, AJobsMetricsInOrder) {
  v1::JobEvent line;
  line.mutable_log_line()->set_text("not a metric");
  log_->Append("j1", line);
  Say(1, {{"loss", 0.75}, {"learning_rate", 1e-3}});
  clock_.Advance(absl::Seconds(2));
  Say(2, {{"loss", std::nan("")}});
  Say(2, {{"eval_accuracy", 0.5}});
  const json points = Get("/jobs/j1/metrics");
  ASSERT_EQ(points.size(), 3u);
  EXPECT_EQ(points[0]["step"], 1);
  EXPECT_EQ(points[0]["phase"], "head");
  EXPECT_EQ(points[0]["loss"], 0.75);
  EXPECT_EQ(points[0]["learning_rate"], 1e-3);
  EXPECT_EQ(points[1]["time"].get<int64_t>() - points[0]["time"].get<int64_t>(), 2000);
  EXPECT_TRUE(points[1]["loss"].is_null()) << "JSON has no NaN";
  EXPECT_EQ(points[2]["eval_accuracy"], 0.5);
}

TEST_F(CurvesTest, ManyPointsAreThinnedAndEvaluationsAreNot) {
  for (int64_t step = 1; step <= 9000; ++step) {
    Say(step, {{"loss", 1.0 / static_cast<double>(step)}});
    if (step % 1000 == 0) Say(step, {{"eval_loss", 0.5}});
  }
  const json points = Get("/jobs/j1/metrics");
  size_t evaluations = 0;
  int64_t last = 0, widest = 0;
  for (const json& point : points) {
    if (point.contains("eval_loss")) {
      ++evaluations;
      continue;
    }
    const int64_t step = point["step"];
    widest = std::max(widest, step - last);
    EXPECT_GT(step, last);
    last = step;
  }
  EXPECT_EQ(evaluations, 9u);
  EXPECT_LE(points.size(), 2009u);
  EXPECT_GE(points.size(), 1000u);
  EXPECT_LE(widest, 8) << "evenly";
  EXPECT_GT(last, 8990) << "up to the end";
}

TEST_F(CurvesTest, OtherPathsAreNotThere) {
  for (const char* path : {"/jobs/none/metrics", "/jobs/j1", "/jobs/j1/metrics/x", "/jobs//metrics", "/jobs/a/b/metrics", "/jobsx"}) {
    EXPECT_FALSE(Get(path, 404)["error"].get<std::string>().empty()) << path;
  }
}

}  // namespace
}  // namespace attune
