#include "tests/client/cli/cli_test_base.h"

namespace attune::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kJob[] = "fineTuningJobs/j1";

v1::WatchFineTuningJobResponse State(int64_t sequence, const std::string& to, bool terminal = false) {
  v1::WatchFineTuningJobResponse response;
  response.mutable_event()->set_sequence(sequence);
  response.mutable_event()->mutable_state_changed()->set_to(to);
  response.mutable_event()->mutable_state_changed()->set_terminal(terminal);
  return response;
}

v1::WatchFineTuningJobResponse Metrics(int64_t sequence, int64_t step) {
  v1::WatchFineTuningJobResponse response;
  response.mutable_event()->set_sequence(sequence);
  response.mutable_event()->mutable_metrics()->set_step(step);
  (*response.mutable_event()->mutable_metrics()->mutable_values())["loss"] = 0.5;
  return response;
}

v1::JobEvent LogLine(int64_t sequence, const std::string& text) {
  v1::JobEvent event;
  event.set_sequence(sequence);
  event.set_message("log");
  event.mutable_log_line()->set_text(text);
  return event;
}

class JobCommandsTest : public CliTest {
 protected:
  // A job that runs once and ends in `state`.
  void Script(v1::FineTuningJob::State state, const std::string& name) {
    v1::FineTuningJob& job = server_.jobs.jobs[kJob];
    job.set_name(kJob);
    job.set_state(state);
    job.mutable_progress()->set_total_steps(2);
    job.mutable_progress()->set_step(2);
    job.set_best_checkpoint("fineTuningJobs/j1/checkpoints/2");
    server_.jobs.streams = {{{State(1, "RUNNING"), Metrics(2, 1), Metrics(3, 2), State(4, name, true)}}};
  }
};

TEST_F(JobCommandsTest, CreateFromFlags) {
  const CliResult result = Run({"jobs",       "create",  "--base-model",    "minilm", "--dataset",   "reviews",
                                "--n-epochs", "2",       "--learning-rate", "3e-5",   "--precision", "bf16",
                                "--device",   "cpu",     "--seed",          "0",      "--label",     "team=nlp",
                                "--label",    "run=a=b", "--display-name",  "my job"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("Created fineTuningJobs/j1 (QUEUED)"));
  EXPECT_THAT(result.out, HasSubstr("attune jobs watch j1"));
  const v1::CreateFineTuningJobRequest& request = server_.jobs.created.at(0);
  EXPECT_EQ(request.spec().base_model(), "models/minilm");
  EXPECT_EQ(request.spec().dataset(), "datasets/reviews");
  EXPECT_EQ(request.spec().hyperparameters().n_epochs(), 2);
  EXPECT_EQ(request.spec().hyperparameters().learning_rate(), 3e-5);
  EXPECT_EQ(request.spec().precision(), v1::PRECISION_BF16);
  EXPECT_EQ(request.spec().resources().device(), "cpu");
  EXPECT_TRUE(request.spec().has_seed());
  EXPECT_EQ(request.labels().at("run"), "a=b");
  EXPECT_EQ(request.display_name(), "my job");
  EXPECT_FALSE(request.request_id().empty());
  EXPECT_FALSE(request.validate_only());
}

TEST_F(JobCommandsTest, CreateFromAnotherJobsCheckpoint) {
  const std::vector<std::string> create = {"jobs", "create", "--base-model", "minilm", "--dataset", "reviews"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), create.begin(), create.end());
    return Run(more);
  };
  EXPECT_EQ(with({"--warm-start", "j1/30"}).code, kOk);
  EXPECT_EQ(server_.jobs.created.at(0).spec().warm_start().checkpoint(), "fineTuningJobs/j1/checkpoints/30");
  EXPECT_EQ(server_.jobs.created.at(0).spec().warm_start().part(), v1::WarmStart::PART_UNSPECIFIED);
  EXPECT_EQ(with({"--warm-start", "j1", "--warm-start-part", "all"}).code, kOk);
  EXPECT_EQ(server_.jobs.created.at(1).spec().warm_start().part(), v1::WarmStart::PART_ALL);
  const CliResult alone = with({"--warm-start-part", "all"});
  EXPECT_EQ(alone.code, kUsage);
  EXPECT_THAT(alone.err, HasSubstr("no checkpoint to start from is given: --warm-start JOB/STEP"));
  EXPECT_EQ(server_.jobs.created.size(), 2u);
}

TEST_F(JobCommandsTest, ARangeTestIsAFlagAndEndsWithItsResult) {
  EXPECT_EQ(Run({"jobs", "create", "--base-model", "minilm", "--dataset", "reviews", "--lr-range-test"}).code, kOk);
  EXPECT_TRUE(server_.jobs.created.at(0).spec().has_lr_range_test());
  EXPECT_EQ(Run({"jobs", "create", "--base-model", "minilm", "--dataset", "reviews"}).code, kOk);
  EXPECT_FALSE(server_.jobs.created.at(1).spec().has_lr_range_test());
  Script(v1::FineTuningJob::STATE_SUCCEEDED, "SUCCEEDED");
  server_.jobs.jobs[kJob].mutable_lr_range_test_result()->set_steepest_learning_rate(1e-4);
  const CliResult result = Run({"jobs", "watch", "j1"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_THAT(result.out + result.err, HasSubstr("Suggested learning rates"));
}

TEST_F(JobCommandsTest, CreateFromFlagsForImages) {
  const std::string file = Put("job.yaml", "base_model: resnet\ndataset: flowers\nhead: {hidden_sizes: [1, 2, 3]}\n"
                                           "phases: [{trainable: {all: true}, batch_norm: frozen, augment: true}]\n");
  CliResult result = Run({"jobs", "create", "-f", file, "--image-size", "192", "--head-hidden", "256,128", "--activation", "gelu", "--no-augment"});
  ASSERT_EQ(result.code, kOk) << result.err;
  const v1::FineTuningSpec& spec = server_.jobs.created.at(0).spec();
  EXPECT_EQ(spec.hyperparameters().image_size(), 192);
  EXPECT_THAT(spec.head().hidden_sizes(), ElementsAre(256, 128)) << "in place of the file's";
  EXPECT_EQ(spec.head().activation(), v1::ACTIVATION_GELU);
  EXPECT_TRUE(spec.augmentation().has_enabled());
  EXPECT_FALSE(spec.augmentation().enabled());
  EXPECT_EQ(spec.phases(0).batch_norm(), v1::BATCH_NORM_FROZEN);
  result = Run({"jobs", "create", "-f", file, "--augment", "--mixup", "0.2", "--rand-augment-operations", "2"});
  ASSERT_EQ(result.code, kOk) << result.err;
  EXPECT_TRUE(server_.jobs.created.at(1).spec().augmentation().enabled());
  EXPECT_EQ(server_.jobs.created.at(1).spec().augmentation().mixup_alpha(), 0.2);
  ASSERT_EQ(Run({"jobs", "create", "-f", file}).code, kOk);
  EXPECT_FALSE(server_.jobs.created.at(2).spec().has_augmentation()) << "neither is the server's default";
}

TEST_F(JobCommandsTest, FlagsOverrideTheFile) {
  const std::string file = Put("job.yaml",
                               "base_model: a\ndataset: d\nlabels: {team: x}\nhyperparameters: {n_epochs: 3, "
                               "batch_size: 8}\nphases: [{name: p}]\n");
  ASSERT_EQ(Run({"jobs", "create", "-f", file, "--base-model", "b", "--n-epochs", "1", "--label", "team=y"}).code, kOk);
  const v1::CreateFineTuningJobRequest& request = server_.jobs.created.at(0);
  EXPECT_EQ(request.spec().base_model(), "models/b");
  EXPECT_EQ(request.spec().hyperparameters().n_epochs(), 1);
  EXPECT_EQ(request.spec().hyperparameters().batch_size(), 8);
  EXPECT_EQ(request.spec().phases(0).name(), "p");
  EXPECT_EQ(request.labels().at("team"), "y");
}

TEST_F(JobCommandsTest, AFileFromStandardInput) {
  ASSERT_EQ(Run({"jobs", "create", "-f", "-"}, "base_model: a\ndataset: d\n").code, kOk);
  EXPECT_EQ(server_.jobs.created.at(0).spec().dataset(), "datasets/d");
  EXPECT_THAT(Run({"jobs", "create", "-f", "-"}, "x: 1\n").err,
              HasSubstr("(standard input):1: the job has no field 'x'"));
}

TEST_F(JobCommandsTest, AWrongFileNamesLineAndNearestField) {
  const std::string file =
      Put("job.yaml", "base_model: a\ndataset: d\nhyperparameters:\n  learning_rat: 1\n  n_epochs: x\n");
  const CliResult result = Run({"jobs", "create", "-f", file});
  EXPECT_EQ(result.code, kUsage);
  EXPECT_THAT(result.err,
              HasSubstr("job.yaml:4: 'hyperparameters' has no field 'learning_rat'; did you mean 'learning_rate'?\n"));
  EXPECT_THAT(result.err, HasSubstr("job.yaml:5: 'n_epochs': expected a whole number, got 'x'\n"));
  EXPECT_EQ(Run({"jobs", "create", "-f", file + ".none"}).code, kNotFound);
  EXPECT_TRUE(server_.jobs.created.empty());
}

TEST_F(JobCommandsTest, ValidateOnlyPrintsTheWholeSpecAsAFile) {
  server_.jobs.on_create = [](const v1::CreateFineTuningJobRequest& request, v1::FineTuningJob* job) {
    *job->mutable_effective_spec() = request.spec();
    job->mutable_effective_spec()->mutable_hyperparameters()->set_batch_size(32);
    return grpc::Status::OK;
  };
  const CliResult result = Run({"jobs", "create", "--base-model", "m", "--dataset", "d", "--validate-only"});
  EXPECT_EQ(result.code, kOk);
  EXPECT_EQ(result.out, "base_model: models/m\ndataset: datasets/d\nhyperparameters:\n  batch_size: 32\n");
  EXPECT_TRUE(server_.jobs.created.at(0).validate_only());
  ASSERT_EQ(Run({"jobs", "create", "-f", "-"}, result.out).code, kOk);
  EXPECT_EQ(server_.jobs.created.at(1).spec().hyperparameters().batch_size(), 32);
}

TEST_F(JobCommandsTest, FaultsThatTheServerFindsAreListed) {
  server_.jobs.create.Fail(
      client::FakeError{.code = grpc::StatusCode::INVALID_ARGUMENT,
                        .message = "2 faults",
                        .violations = {{"spec.hyperparameters.batch_size", "must be 1 to 4096, got 0"},
                                       {"spec.dataset", "has no training rows"}}}
          .ToStatus());
  const CliResult result = Run({"jobs", "create", "--base-model", "m", "--dataset", "d", "--batch-size", "0"});
  EXPECT_EQ(result.code, kRejected);
  EXPECT_THAT(result.err, HasSubstr("error: cannot create the job\n"));
  EXPECT_THAT(result.err, HasSubstr("         spec.hyperparameters.batch_size: must be 1 to 4096, got 0\n"));
  EXPECT_THAT(result.err, HasSubstr("         spec.dataset: has no training rows\n"));
}

TEST_F(JobCommandsTest, CreateAndWatch) {
  Script(v1::FineTuningJob::STATE_SUCCEEDED, "SUCCEEDED");
  const CliResult result = Run({"jobs", "create", "--base-model", "m", "--dataset", "d", "--watch"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("Created fineTuningJobs/j1\n"));
  EXPECT_THAT(result.out, HasSubstr("SUCCEEDED"));
  EXPECT_THAT(result.out, HasSubstr("attune checkpoints download j1/best --to j1"));
}

TEST_F(JobCommandsTest, WatchInPlainLines) {
  Script(v1::FineTuningJob::STATE_SUCCEEDED, "SUCCEEDED");
  const CliResult result = Run({"jobs", "watch", "j1"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("  RUNNING\n"));
  EXPECT_THAT(result.out, HasSubstr("  50 %  step 1/2  loss 0.5\n"));
  EXPECT_THAT(result.out, HasSubstr("  100 %  step 2  loss 0.5\n"));
  EXPECT_THAT(result.out, HasSubstr("  SUCCEEDED\n"));
  EXPECT_THAT(result.out, Not(HasSubstr("\x1b")));
}

TEST_F(JobCommandsTest, AWatchShowsWhatAWaitingJobWaitsFor) {
  Script(v1::FineTuningJob::STATE_SUCCEEDED, "SUCCEEDED");
  v1::WatchFineTuningJobResponse waiting;
  waiting.mutable_waiting()->set_state(v1::FineTuningJob::STATE_QUEUED);
  waiting.mutable_waiting()->set_state_reason("waits for 3 jobs before it");
  server_.jobs.streams = {{{waiting, State(1, "RUNNING"), State(2, "SUCCEEDED", true)}}};
  const CliResult result = Run({"jobs", "watch", "j1"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("waiting: waits for 3 jobs before it\n"));
  server_.jobs.streams = {{{waiting, State(1, "RUNNING"), State(2, "SUCCEEDED", true)}}};
  EXPECT_THAT(Run({"jobs", "watch", "j1", "--output", "json"}).out, Not(HasSubstr("waits"))) << "events only";
}

TEST_F(JobCommandsTest, TheExitCodeTellsHowTheJobEnded) {
  Script(v1::FineTuningJob::STATE_FAILED, "FAILED");
  EXPECT_EQ(Run({"jobs", "watch", "j1"}).code, kFailed);
  Script(v1::FineTuningJob::STATE_CANCELLED, "CANCELLED");
  EXPECT_EQ(Run({"jobs", "watch", "j1"}).code, kCancelled);
  const CliResult result = Run({"jobs", "watch", "j2"});
  EXPECT_EQ(result.code, kNotFound);
  EXPECT_THAT(result.err, HasSubstr("`attune jobs list`"));
}

TEST_F(JobCommandsTest, AWatchIsNotDisturbedByACut) {
  Script(v1::FineTuningJob::STATE_SUCCEEDED, "SUCCEEDED");
  server_.jobs.streams = {{{State(1, "RUNNING"), Metrics(2, 1)}, client::Unavailable()},
                          {{Metrics(3, 2), State(4, "SUCCEEDED", true)}}};
  const CliResult result = Run({"jobs", "watch", "j1"});
  EXPECT_EQ(result.code, kOk);
  EXPECT_THAT(result.out, HasSubstr("connection lost, trying again: connection reset"));
  EXPECT_THAT(server_.jobs.watched_after, ElementsAre(0, 2));
}

TEST_F(JobCommandsTest, WatchAsJsonLines) {
  Script(v1::FineTuningJob::STATE_SUCCEEDED, "SUCCEEDED");
  const CliResult result = Run({"jobs", "watch", "j1", "--output", "json"});
  EXPECT_EQ(result.code, kOk);
  EXPECT_EQ(result.out,
            "{\"sequence\":\"1\",\"stateChanged\":{\"to\":\"RUNNING\"}}\n"
            "{\"sequence\":\"2\",\"metrics\":{\"step\":\"1\",\"values\":{\"loss\":0.5}}}\n"
            "{\"sequence\":\"3\",\"metrics\":{\"step\":\"2\",\"values\":{\"loss\":0.5}}}\n"
            "{\"sequence\":\"4\",\"stateChanged\":{\"to\":\"SUCCEEDED\",\"terminal\":true}}\n");
}

TEST_F(JobCommandsTest, WatchOnATerminalRedrawsAndEndsWithTheSummary) {
  terminal_ = true;
  Script(v1::FineTuningJob::STATE_SUCCEEDED, "SUCCEEDED");
  const CliResult result = Run({"jobs", "watch", "j1"});
  EXPECT_EQ(result.code, kOk);
  const std::string last = result.out.substr(result.out.rfind("\x1b[2Kfine"));
  EXPECT_THAT(last, HasSubstr("fineTuningJobs/j1  SUCCEEDED"));
  EXPECT_THAT(last, HasSubstr("100 %  step 2/2"));
  EXPECT_THAT(last, HasSubstr("\nNext\n"));
}

TEST_F(JobCommandsTest, ListBuildsTheFilter) {
  ASSERT_EQ(Run({"jobs", "list", "--state", "RUNNING", "--base-model", "m", "--dataset", "d\"x", "--label", "team=nlp",
                 "--filter", "labels.a = \"b\""})
                .code,
            kOk);
  EXPECT_EQ(server_.jobs.listed.at(0).filter(),
            "state = RUNNING AND base_model = \"models/m\" AND dataset = \"datasets/d\\\"x\" AND labels.team = \"nlp\" "
            "AND labels.a = \"b\"");
}

TEST_F(JobCommandsTest, ListGoesThroughThePages) {
  for (int i = 1000; i < 3500; ++i)
    server_.jobs.jobs["fineTuningJobs/j" + std::to_string(i)].set_name("fineTuningJobs/j" + std::to_string(i));
  const std::string all = Run({"jobs", "list", "--limit", "0"}).out;
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 2501);
  EXPECT_EQ(server_.jobs.listed.size(), 3u);
  const std::string some = Run({"jobs", "list", "--limit", "1200"}).out;
  EXPECT_EQ(std::count(some.begin(), some.end(), '\n'), 1201);
  EXPECT_THAT(Run({"jobs", "list", "--limit", "2", "--output", "json"}).out,
              HasSubstr("\"nextPageToken\": \"fineTuningJobs/j1002\""));
}

TEST_F(JobCommandsTest, Show) {
  Script(v1::FineTuningJob::STATE_SUCCEEDED, "SUCCEEDED");
  server_.jobs.jobs[kJob].mutable_effective_spec()->mutable_hyperparameters()->set_n_epochs(3);
  const std::string text = Run({"jobs", "show", "j1"}).out;
  EXPECT_THAT(text, HasSubstr("fineTuningJobs/j1  SUCCEEDED\n"));
  EXPECT_THAT(text, HasSubstr("Spec\nhyperparameters:\n  n_epochs: 3\n"));
  EXPECT_THAT(Run({"jobs", "show", "j1", "--output", "json"}).out, HasSubstr("\"state\": \"STATE_SUCCEEDED\""));
}

TEST_F(JobCommandsTest, LogsAndMetrics) {
  server_.jobs.stored = {State(1, "RUNNING").event(), LogLine(2, "hello\x1b[2J"), LogLine(3, "world")};
  const std::string text = Run({"jobs", "logs", "j1"}).out;
  EXPECT_THAT(text, HasSubstr("  hello [2J\n"));
  EXPECT_THAT(text, HasSubstr("  world\n"));
  EXPECT_THAT(text, Not(HasSubstr("[1]")));
  EXPECT_THAT(Run({"jobs", "logs", "j1", "--all"}).out, HasSubstr("[1]"));
  server_.jobs.metrics = {Metrics(1, 1).event().metrics(), Metrics(2, 2).event().metrics()};
  EXPECT_THAT(Run({"jobs", "metrics", "j1"}).out, HasSubstr("loss ▄▄"));
}

TEST_F(JobCommandsTest, FollowTheLog) {
  server_.jobs.streams = {{{}, client::Unavailable()}, {}};
  v1::WatchFineTuningJobResponse line;
  *line.mutable_event() = LogLine(1, "hello");
  server_.jobs.streams[1].messages = {line, State(2, "SUCCEEDED", true)};
  const CliResult result = Run({"jobs", "logs", "j1", "--follow"});
  EXPECT_EQ(result.code, kOk);
  EXPECT_THAT(result.out, HasSubstr("  hello\n"));
}

TEST_F(JobCommandsTest, CreateLikeAnother) {
  v1::FineTuningJob& old = server_.jobs.jobs["fineTuningJobs/j1"];
  old.set_name("fineTuningJobs/j1");
  old.mutable_spec()->set_base_model("models/m");
  old.mutable_spec()->set_dataset("datasets/d");
  old.mutable_spec()->mutable_hyperparameters()->set_n_epochs(7);
  old.mutable_spec()->mutable_hyperparameters()->set_batch_size(8);
  (*old.mutable_labels())["team"] = "nlp";
  ASSERT_EQ(Run({"jobs", "create", "--like", "j1", "--batch-size", "16"}).code, kOk);
  const v1::CreateFineTuningJobRequest& request = server_.jobs.created.back();
  EXPECT_EQ(request.spec().base_model(), "models/m");
  EXPECT_EQ(request.spec().hyperparameters().n_epochs(), 7);
  EXPECT_EQ(request.spec().hyperparameters().batch_size(), 16) << "in place of the other job's";
  EXPECT_EQ(request.labels().at("team"), "nlp");
  EXPECT_NE(Run({"jobs", "create", "--like", "nobody"}).code, kOk);
  EXPECT_NE(Run({"jobs", "create", "--like", "j1", "--file", "x.yaml"}).code, kOk);
}

TEST_F(JobCommandsTest, PauseResumeAndUpdate) {
  EXPECT_THAT(Run({"jobs", "pause", "j1"}).out, HasSubstr("fineTuningJobs/j1 is PAUSING"));
  EXPECT_THAT(Run({"jobs", "resume", "j1"}).out, HasSubstr("fineTuningJobs/j1 is QUEUED"));
  EXPECT_EQ(Run({"jobs", "update", "j1", "--priority", "-7"}).code, kOk);
  EXPECT_EQ(Run({"jobs", "update", "j1", "--display-name", "mine"}).code, kOk);
  ASSERT_EQ(server_.jobs.updated.size(), 2u);
  EXPECT_EQ(server_.jobs.updated[0].fine_tuning_job().priority(), -7);
  EXPECT_THAT(server_.jobs.updated[0].update_mask().paths(), ElementsAre("priority"));
  EXPECT_THAT(server_.jobs.updated[1].update_mask().paths(), ElementsAre("display_name"));
  EXPECT_NE(Run({"jobs", "update", "j1"}).code, kOk) << "says what there is to change";
}

TEST_F(JobCommandsTest, CancelAndDelete) {
  EXPECT_THAT(Run({"jobs", "cancel", "j1"}).out, HasSubstr("fineTuningJobs/j1 is CANCELLING"));
  EXPECT_EQ(Run({"jobs", "delete", "j1", "j2"}).out, "Deleted fineTuningJobs/j1\nDeleted fineTuningJobs/j2\n");
  server_.jobs.remove.Fail(
      client::FakeError{grpc::StatusCode::FAILED_PRECONDITION, "fineTuningJobs/j1 is RUNNING; cancel it first"}
          .ToStatus());
  const CliResult result = Run({"jobs", "delete", "j1"});
  EXPECT_EQ(result.code, kRejected);
  EXPECT_THAT(result.err, HasSubstr("cancel it first (FAILED_PRECONDITION)"));
}

}  // namespace
}  // namespace attune::cli
