// attune jobs evaluate.
#include "tests/client/cli/cli_test_base.h"

namespace attune::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class EvaluateCommandTest : public CliTest {
 protected:
  void SetUp() override {
    v1::CheckpointEvaluation& result = server_.prediction.evaluation;
    result.set_checkpoint("fineTuningJobs/j1/checkpoints/30");
    result.set_dataset("datasets/reviews");
    result.mutable_evaluation()->set_split("test");
    result.mutable_evaluation()->set_rows(128);
    (*result.mutable_evaluation()->mutable_values())["accuracy"] = 0.75;
  }
  const v1::EvaluateRequest& Sent() { return server_.prediction.evaluate_requests.back(); }
};

TEST_F(EvaluateCommandTest, AJobAloneMeansItsBestOnItsOwnDataset) {
  const CliResult result = Run({"jobs", "evaluate", "j1"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_EQ(Sent().checkpoint(), "fineTuningJobs/j1/checkpoints/best");
  EXPECT_EQ(Sent().dataset(), "");
  EXPECT_EQ(Sent().split(), v1::SPLIT_UNSPECIFIED);
  EXPECT_FALSE(Sent().find_suspects());
  EXPECT_FALSE(Sent().has_batch_size());
  EXPECT_THAT(result.out, HasSubstr("fineTuningJobs/j1/checkpoints/30 on datasets/reviews\nEvaluation on test (128 rows"));
  EXPECT_THAT(result.err, HasSubstr("evaluating rows: 50 % (64 of 128)"));
  EXPECT_THAT(Run({"jobs", "evaluate", "j1", "--quiet"}).err, Not(HasSubstr("evaluating")));
}

TEST_F(EvaluateCommandTest, EveryOptionIsSent) {
  const CliResult result = Run({"jobs", "evaluate", "j1/20", "--dataset", "others", "--split", "validation", "--suspects", "50", "--batch-size", "16"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_EQ(Sent().checkpoint(), "fineTuningJobs/j1/checkpoints/20");
  EXPECT_EQ(Sent().dataset(), "datasets/others");
  EXPECT_EQ(Sent().split(), v1::SPLIT_VALIDATION);
  EXPECT_TRUE(Sent().find_suspects());
  EXPECT_EQ(Sent().suspect_count(), 50);
  EXPECT_EQ(Sent().batch_size(), 16);
  for (const auto& [name, split] : {std::pair("train", v1::SPLIT_TRAIN), std::pair("test", v1::SPLIT_TEST)}) {
    Run({"jobs", "evaluate", "j1", "--split", name});
    EXPECT_EQ(Sent().split(), split);
  }
}

TEST_F(EvaluateCommandTest, Json) {
  for (const std::vector<std::string>& args : {std::vector<std::string>{"jobs", "evaluate", "j1", "--json"}, {"jobs", "evaluate", "j1", "--output", "json"}}) {
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, kOk) << result.err;
    EXPECT_THAT(result.out, HasSubstr("\"dataset\": \"datasets/reviews\""));
    EXPECT_EQ(result.out.front(), '{');
  }
}

TEST_F(EvaluateCommandTest, WhatIsWrongIsSaidBeforeAnythingIsSent) {
  for (const std::vector<std::string>& bad : {std::vector<std::string>{"--split", "dev"}, {"--suspects", "0"}, {"--suspects", "1001"}, {"--batch-size", "0"}, {"--batch-size", "1025"}}) {
    std::vector<std::string> args = {"jobs", "evaluate", "j1"};
    args.insert(args.end(), bad.begin(), bad.end());
    const CliResult result = Run(args);
    EXPECT_EQ(result.code, kUsage) << bad[0] << " " << bad[1];
    EXPECT_THAT(result.err, HasSubstr(bad[0]));
  }
  EXPECT_EQ(Run({"jobs", "evaluate"}).code, kUsage);
  EXPECT_TRUE(server_.prediction.evaluate_requests.empty());
}

TEST_F(EvaluateCommandTest, TheServersRefusalIsShown) {
  server_.prediction.evaluate.Fail(client::FakeError{.code = grpc::StatusCode::INVALID_ARGUMENT,
                                                     .message = "dataset: class 2 is \"fine\" in the dataset",
                                                     .violations = {{"dataset", "class 2 is \"fine\" in the dataset"}}}
                                       .ToStatus());
  CliResult result = Run({"jobs", "evaluate", "j1"});
  EXPECT_EQ(result.code, kRejected);
  EXPECT_THAT(result.err, HasSubstr("class 2 is \"fine\""));
  server_.prediction.evaluate.Fail(client::FakeError{grpc::StatusCode::NOT_FOUND, "there is no such checkpoint"}.ToStatus());
  result = Run({"jobs", "evaluate", "j9"});
  EXPECT_EQ(result.code, kNotFound);
  EXPECT_THAT(result.err, HasSubstr("attune checkpoints list JOB"));
}

}  // namespace
}  // namespace attune::cli
