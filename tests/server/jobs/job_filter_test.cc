#include "server/jobs/job_filter.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::jobs {
namespace {

using ::testing::HasSubstr;

v1::FineTuningJob SomeJob() {
  v1::FineTuningJob job;
  job.set_state(v1::FineTuningJob::STATE_RUNNING);
  job.set_display_name("sentiment of \"tweets\"");
  job.mutable_spec()->set_base_model("models/mini-lm");
  job.mutable_spec()->set_dataset("datasets/tweets");
  (*job.mutable_labels())["team"] = "nlp";
  (*job.mutable_labels())["empty"] = "";
  return job;
}

struct MatchCase {
  std::string filter;
  bool matches;
};

class Matching : public ::testing::TestWithParam<MatchCase> {};

TEST_P(Matching, IsAsExpected) {
  absl::StatusOr<JobFilter> filter = JobFilter::Parse(GetParam().filter);
  ASSERT_TRUE(filter.ok()) << filter.status();
  EXPECT_EQ(filter->Matches(SomeJob()), GetParam().matches) << GetParam().filter;
}

INSTANTIATE_TEST_SUITE_P(
    Table, Matching,
    ::testing::Values(MatchCase{"", true}, MatchCase{"   ", true}, MatchCase{"state = RUNNING", true}, MatchCase{"state=RUNNING", true},
                      MatchCase{"state = \"RUNNING\"", true}, MatchCase{"state = QUEUED", false},
                      MatchCase{"base_model = \"models/mini-lm\"", true}, MatchCase{"base_model = models/mini-lm", true},
                      MatchCase{"base_model = \"models/mini\"", false}, MatchCase{"dataset = \"datasets/tweets\"", true},
                      MatchCase{"labels.team = \"nlp\"", true}, MatchCase{"labels.team = vision", false},
                      MatchCase{"labels.absent = \"nlp\"", false}, MatchCase{"labels.absent = \"\"", false},
                      MatchCase{"labels.empty = \"\"", true},
                      MatchCase{R"(display_name = "sentiment of \"tweets\"")", true},
                      MatchCase{"state = RUNNING AND labels.team = nlp AND dataset = datasets/tweets", true},
                      MatchCase{"state = RUNNING AND labels.team = vision", false},
                      MatchCase{"state = RUNNING AND state = QUEUED", false}));

struct ErrorCase {
  std::string filter;
  std::string words;
};

class Errors : public ::testing::TestWithParam<ErrorCase> {};

TEST_P(Errors, Teach) {
  absl::StatusOr<JobFilter> filter = JobFilter::Parse(GetParam().filter);
  ASSERT_FALSE(filter.ok()) << GetParam().filter;
  EXPECT_EQ(filter.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(filter.status().message()), HasSubstr(GetParam().words)) << GetParam().filter;
}

INSTANTIATE_TEST_SUITE_P(
    Table, Errors,
    ::testing::Values(ErrorCase{"stat = RUNNING", "did you mean state?"}, ErrorCase{"state = RUNING", "did you mean RUNNING?"},
                      ErrorCase{"state = running", "QUEUED, PREPARING"}, ErrorCase{"state", "expected '='"},
                      ErrorCase{"state =", "expected a value"}, ErrorCase{"state > RUNNING", "expected '='"},
                      ErrorCase{"state == RUNNING", "one '='"}, ErrorCase{"state = RUNNING OR state = QUEUED", "OR is not supported"},
                      ErrorCase{"state = RUNNING and state = QUEUED", "capitals"}, ErrorCase{"state = RUNNING state = QUEUED", "expected AND"},
                      ErrorCase{"state = RUNNING AND", "expected a field name"}, ErrorCase{"labels = x", "labels.team"},
                      ErrorCase{"labels. = x", "needs a key"}, ErrorCase{"display_name = \"open", "character 16: the double quote"},
                      ErrorCase{"= RUNNING", "character 1: expected a field name"}));

}  // namespace
}  // namespace attune::jobs
