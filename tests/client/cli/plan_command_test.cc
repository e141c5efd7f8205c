// attune jobs plan.
#include "tests/client/cli/cli_test_base.h"

namespace attune::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PlanCommandTest : public CliTest {
 protected:
  void SetUp() override {
    v1::PlanFineTuningJobResponse& plan = server_.jobs.plan;
    plan.set_fits(true);
    plan.set_summary("fits: needs 800 MiB of 24 GiB; about 14 min (12 min to 16 min)");
    plan.set_device("cpu");
    plan.set_threads(2);
    plan.mutable_memory()->set_peak_bytes(838'860'800);
    plan.mutable_memory()->set_gradients_bytes(90'000'000);
    plan.set_largest_batch_size(32);
    plan.set_total_seconds(840);
    plan.set_total_seconds_low(720);
    plan.set_total_seconds_high(960);
    plan.set_checkpoint_bytes(1'000'000'000);
    plan.set_disk_bytes(5'000'000'000);
    v1::PhasePlan& phase = *plan.add_phases();
    phase.set_phase("all");
    phase.set_steps(1200);
    phase.set_step_seconds(0.7);
    phase.set_seconds(840);
    phase.set_trainable_parameters(22'713'216);
  }
};

TEST_F(PlanCommandTest, ShowsMemoryTimeAndDisk) {
  const CliResult result = Run({"jobs", "plan", "--base-model", "minilm", "--dataset", "reviews", "--batch-size", "32"});
  EXPECT_EQ(result.code, kOk);
  ASSERT_EQ(server_.jobs.planned.size(), 1u);
  EXPECT_EQ(server_.jobs.planned[0].spec().base_model(), "models/minilm");
  EXPECT_EQ(server_.jobs.planned[0].spec().hyperparameters().batch_size(), 32);
  EXPECT_TRUE(server_.jobs.created.empty()) << "nothing is created";
  EXPECT_THAT(result.err, HasSubstr("A worker runs a few steps"));
  EXPECT_THAT(Run({"jobs", "plan", "--base-model", "m", "--dataset", "d", "--quiet"}).err, Not(HasSubstr("A worker")));
  EXPECT_THAT(result.out, HasSubstr("Fits: needs 800 MiB of 24 GiB"));
  EXPECT_THAT(result.out, HasSubstr("gradients"));
  EXPECT_THAT(result.out, HasSubstr("90.0 MB"));
  EXPECT_THAT(result.out, HasSubstr("22,713,216"));
  EXPECT_THAT(result.out, HasSubstr("14 min 00 s, in 9 of 10 cases 12 min 00 s to 16 min 00 s"));
  EXPECT_THAT(result.out, HasSubstr("cpu, 2 threads"));
  EXPECT_THAT(result.out, HasSubstr("5.00 GB at most (1.00 GB a checkpoint)"));
}

TEST_F(PlanCommandTest, TakesAFileAsCreateDoes) {
  const std::string file = Put("job.yaml", "base_model: minilm\ndataset: reviews\nhyperparameters: {n_epochs: 2}\n");
  EXPECT_EQ(Run({"jobs", "plan", "-f", file, "--output", "json"}).code, kOk);
  EXPECT_EQ(server_.jobs.planned.at(0).spec().hyperparameters().n_epochs(), 2);
  EXPECT_EQ(Run({"jobs", "plan", "-f", file, "--watch"}).code, kUsage) << "there is no job to watch";
}

TEST_F(PlanCommandTest, NotEvenOneRow) {
  server_.jobs.plan.set_fits(false);
  server_.jobs.plan.set_largest_batch_size(0);
  EXPECT_THAT(Run({"jobs", "plan", "--base-model", "m", "--dataset", "d"}).out, HasSubstr("not even one row"));
}

TEST_F(PlanCommandTest, FaultsAreExplained) {
  CliResult result = Run({"jobs", "plan", "--dataset", "reviews"});
  EXPECT_EQ(result.code, kUsage);
  EXPECT_THAT(result.err, HasSubstr("no base model is given"));
  EXPECT_TRUE(server_.jobs.planned.empty());
  server_.jobs.make_plan.Fail(grpc::Status(grpc::StatusCode::NOT_FOUND, "spec.base_model: models/m does not exist"));
  result = Run({"jobs", "plan", "--base-model", "m", "--dataset", "d"});
  EXPECT_EQ(result.code, kNotFound);
  EXPECT_THAT(result.err, HasSubstr("attune models list"));
  EXPECT_THAT(result.out, Not(HasSubstr("MEMORY")));
}

}  // namespace
}  // namespace attune::cli
