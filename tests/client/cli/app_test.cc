#include "client/cli/app.h"

#include "tests/client/cli/cli_test_base.h"

namespace attune::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using AppTest = CliTest;

TEST_F(AppTest, AWrongCommandLineIsExplainedAndNothingIsSent) {
  const struct {
    std::vector<std::string> args;
    std::string why;
  } cases[] = {
      {{"job", "list"}, "`attune` does not know the command 'job'; did you mean 'jobs'?"},
      {{"jobs", "lst"}, "`attune jobs` does not know the command 'lst'; did you mean 'list'?"},
      {{"jobs", "create", "--lerning-rate", "3"},
       "does not know the option '--lerning-rate'; did you mean '--learning-rate'?"},
      {{"jobs", "create", "--lerning-rate=3"}, "did you mean '--learning-rate'?"},
      {{"jobs", "list", "extra"}, "`attune jobs list` does not know the argument 'extra'"},
      {{"jobs", "show"}, "job is required"},
      {{"jobs", "list", "--output", "yaml"}, "'yaml' is not one of text, json"},
      {{"jobs", "list", "--limit", "-1"}, "--limit"},
      {{"jobs", "list", "--label", "team"}, "must be KEY=VALUE"},
      {{"jobs", "create", "--precision", "bf17"}, "did you mean 'bf16'?"},
      {{"jobs", "create", "--dataset", "d"}, "no base model is given"},
      {{"jobs", "create", "--base-model", "m", "--dataset", "d", "--n-epochs", "x"},
       "--n-epochs: expected a whole number, got 'x'"},
      {{"datasets", "upload"}, "no file is given"},
      {{"datasets", "upload", "a.csv", "--max-bad-rows", "some"}, "must be a number, or any"},
      {{"datasets", "upload", "a.csv", "--test-fraction", "2"}, "--test-fraction"},
      {{"checkpoints", "delete", "j1"}, "must be JOB/STEP"},
      {{"checkpoints", "download", "j1"}, "--to is required"},
      {{"jobs", "create", "--base-model", "m", "--dataset", "d", "--head-hidden", "256,many"},
       "--head-hidden: expected a whole number, got 'many'"},
      {{"jobs", "create", "--activation", "relo"}, "did you mean 'relu'?"},
      {{"predict", "j1"}, "no text is given, and no image"},
      {{"jobs", "show", "j1", "--", "x"}, "only `attune predict` takes arguments after --"},
  };
  for (const auto& c : cases) {
    const CliResult result = Run(c.args);
    EXPECT_EQ(result.code, kUsage) << c.why;
    EXPECT_THAT(result.err, HasSubstr(c.why));
    EXPECT_THAT(result.err, HasSubstr("\n  fix: "));
    EXPECT_THAT(result.out, IsEmpty());
  }
  EXPECT_THAT(server_.jobs.created, IsEmpty());
}

TEST_F(AppTest, AGroupAloneShowsWhatCanFollow) {
  const CliResult result = Run({"jobs"});
  EXPECT_EQ(result.code, kUsage);
  EXPECT_THAT(result.err, HasSubstr("Usage: attune jobs"));
  EXPECT_THAT(result.err, HasSubstr("metrics"));
}

TEST_F(AppTest, HelpAndVersionGoToStandardOutput) {
  CliResult result = Run({"--help"});
  EXPECT_EQ(result.code, kOk);
  EXPECT_THAT(result.out, HasSubstr("Exit codes: 0 done"));
  result = Run({"jobs", "create", "--help"});
  EXPECT_EQ(result.code, kOk);
  EXPECT_THAT(result.out, HasSubstr("--learning-rate "));
  EXPECT_THAT(Run({"--version"}).out, HasSubstr("attune 0."));
}

void CheckTree(const CLI::App& app, const std::string& path) {
  EXPECT_FALSE(app.get_description().empty()) << path;
  for (const CLI::Option* option : app.get_options({}))
    EXPECT_FALSE(option->get_description().empty()) << path << " " << option->get_name();
  if (app.get_subcommands({}).empty()) {
    EXPECT_NO_THROW(app.get_option("--output")) << path << " lacks the global options: make it with AddCommand";
  }
  for (const CLI::App* sub : app.get_subcommands({})) CheckTree(*sub, path + " " + sub->get_name());
}

TEST_F(AppTest, EveryCommandAndOptionIsDescribed) {
  std::istringstream in;
  std::ostringstream out;
  Console console{.in = in, .out = out, .err = out};
  Session session(console, {});
  CheckTree(*BuildApp(session), "attune");
}

TEST_F(AppTest, GlobalOptionsMayStandAnywhere) {
  const std::string dead = "unix:" + directory_.path() + "/none";
  EXPECT_EQ(Run({"jobs", "list"}).code, kOk);
  EXPECT_EQ(Run({"--server", dead, "jobs", "list"}).code, kUnreachable);
  EXPECT_EQ(Run({"jobs", "list", "--server", dead}).code, kUnreachable);
  EXPECT_EQ(Run({"--server", dead, "jobs", "list", "--server", server_.address()}).code, kOk) << "the later one counts";
  EXPECT_THAT(Run({"--output", "json", "jobs", "list"}).out, HasSubstr("{"));
}

TEST_F(AppTest, AnUnreachableServerIsExplained) {
  const CliResult result = Run({"jobs", "list", "--server", "unix:" + directory_.path() + "/none"});
  EXPECT_EQ(result.code, kUnreachable);
  EXPECT_THAT(result.err, HasSubstr("error: cannot list the jobs\n  why: no answer from unix:"));
  EXPECT_THAT(result.err, HasSubstr("  fix: start a server"));
  EXPECT_EQ(server_.sleeps.size(), 4u);
  EXPECT_EQ(Run({"jobs", "list", "--server", ""}).code, kRejected);
}

TEST_F(AppTest, ExitCodesByStatus) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), kOk);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("")), kNotFound);
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("")), kRejected);
  EXPECT_EQ(ExitCodeOf(absl::AlreadyExistsError("")), kRejected);
  EXPECT_EQ(ExitCodeOf(absl::FailedPreconditionError("")), kRejected);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("")), kUnreachable);
  EXPECT_EQ(ExitCodeOf(absl::InternalError("")), kFailed);
  EXPECT_EQ(ExitCodeOf(absl::DataLossError("")), kFailed);
}

TEST_F(AppTest, ServerInfoIsOneJsonDocument) {
  EXPECT_THAT(Run({"server", "info"}).out, HasSubstr("attune-server 1.2.3"));
  EXPECT_EQ(Run({"server", "info", "--output", "json"}).out,
            "{\n \"devices\": [\n  {\n   \"name\": \"cpu\"\n  }\n ],\n \"version\": \"1.2.3\"\n}\n");
}

TEST_F(AppTest, HealthIsTheExitCode) {
  CliResult result = Run({"server", "health"});
  EXPECT_EQ(result.code, kOk);
  EXPECT_EQ(result.out, "SERVING\n");
  EXPECT_EQ(Run({"server", "health", "attune.v1.SystemService"}).code, kNotFound);
  server_.SetServing(true, "attune.v1.SystemService");
  EXPECT_EQ(Run({"server", "health", "attune.v1.SystemService"}).code, kOk);
  server_.SetServing(false);
  result = Run({"server", "health"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_EQ(result.out, "NOT_SERVING\n");
  EXPECT_EQ(Run({"server", "health", "--output", "json"}).out, "{\n \"status\": \"NOT_SERVING\"\n}\n");
  // Whoever checks asks again: no further tries.
  EXPECT_EQ(Run({"server", "health", "--server", "unix:" + directory_.path() + "/nobody"}).code, kUnreachable);
  EXPECT_TRUE(server_.sleeps.empty());
}

}  // namespace
}  // namespace attune::cli
