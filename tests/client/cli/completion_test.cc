#include "client/cli/completion.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_split.h"
#include "server/base/subprocess.h"
#include "tests/client/cli/cli_test_base.h"

namespace attune::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CompletionTest : public CliTest {
 protected:
  CompletionTest() : console_{.in = in_, .out = out_, .err = out_}, session_(console_, {}), app_(BuildApp(session_)) {}

  // What bash offers for these words, the last of which is being typed.
  std::vector<std::string> Bash(const std::vector<std::string>& words) {
    std::string script = BashCompletion(*app_) + "COMP_WORDS=(attune";
    for (const std::string& word : words) script += " '" + word + "'";
    script += "); COMP_CWORD=" + std::to_string(words.size()) + "; cd " + directory_.path() +
              "; _attune; printf '%s\\n' \"${COMPREPLY[@]}\"";
    auto shell = Subprocess::Start({.argv = {"/bin/bash", "--norc", "-u", "-c", script}, .capture_stdout = true});
    EXPECT_TRUE(shell.ok()) << shell.status();
    std::vector<std::string> lines = absl::StrSplit(*(*shell)->ReadStdoutToEnd(), '\n', absl::SkipEmpty());
    EXPECT_EQ((*shell)->Wait().code, 0);
    return lines;
  }

  std::istringstream in_;
  std::ostringstream out_;
  Console console_;
  Session session_;
  std::unique_ptr<CLI::App> app_;
};

TEST_F(CompletionTest, BashOffersCommandsOptionsAndValues) {
  EXPECT_THAT(Bash({"j"}), ElementsAre("jobs"));
  EXPECT_THAT(Bash({"jobs", "c"}), ElementsAre("create", "cancel"));
  EXPECT_THAT(Bash({"jobs", "create", "--warmup"}), ElementsAre("--warmup-ratio", "--warmup-steps"));
  EXPECT_THAT(Bash({"jobs", "create", "--precision", ""}), ElementsAre("fp32", "bf16"));
  EXPECT_THAT(Bash({"jobs", "create", "--activation", ""}), ElementsAre("relu", "gelu", "tanh", "silu"));
  EXPECT_THAT(Bash({"jobs", "create", "--no-a"}), ElementsAre("--no-augment"));
  EXPECT_THAT(Bash({"--server", "x:1", "jobs", "list", "--state", "ca"}), ElementsAre("cancelling", "cancelled"));
  EXPECT_THAT(Bash({"jobs", "list", "--output", "j"}), ElementsAre("json"));
  EXPECT_THAT(Bash({"jobs", "rep"}), ElementsAre("report"));
  EXPECT_THAT(Bash({"jobs", "report", "--no"}), ElementsAre("--no-evaluate"));
  EXPECT_THAT(Bash({"jobs", "create", "--base-model", ""}), IsEmpty()) << "a value that only the server knows";
  EXPECT_THAT(Bash({"completion", ""}), Contains("zsh"));
}

TEST_F(CompletionTest, BashOffersFilesWhereFilesAreMeant) {
  Put("reviews.csv", "x");
  EXPECT_THAT(Bash({"datasets", "upload", "rev"}), ElementsAre("reviews.csv"));
  EXPECT_THAT(Bash({"datasets", "upload", "--train", "rev"}), ElementsAre("reviews.csv"));
  EXPECT_THAT(Bash({"predict", "j1", "--image", "rev"}), ElementsAre("reviews.csv"));
  EXPECT_THAT(Bash({"jobs", "report", "j1", "--output", "rev"}), ElementsAre("reviews.csv"));
  EXPECT_THAT(Bash({"jobs", "show", "rev"}), IsEmpty());
}

TEST_F(CompletionTest, EveryCommandAndOptionIsInEveryScript) {
  for (const std::string& script : {BashCompletion(*app_), ZshCompletion(*app_), FishCompletion(*app_)}) {
    for (const CompletionCommand& command : CompletionCommands(*app_)) {
      EXPECT_THAT(script, HasSubstr(command.path));
      for (const CompletionOption& option : command.options) {
        for (const std::string& name : option.names)
          EXPECT_THAT(script, HasSubstr(name.substr(name.rfind("--") == 0 ? 2 : 1))) << command.path;
      }
    }
  }
}

TEST_F(CompletionTest, TheCommandPrintsTheScript) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const CliResult result = Run({"completion", shell});
    EXPECT_EQ(result.code, kOk);
    EXPECT_THAT(result.out, HasSubstr("jobs create")) << shell;
  }
}

TEST_F(CompletionTest, ChoicesComeFromTheTree) {
  const auto commands = CompletionCommands(*app_);
  auto create =
      std::find_if(commands.begin(), commands.end(), [](const auto& command) { return command.path == "jobs create"; });
  ASSERT_NE(create, commands.end());
  std::set<std::string> with_choices;
  for (const CompletionOption& option : create->options) {
    if (!option.choices.empty()) with_choices.insert(option.names[0]);
    EXPECT_THAT(option.choices, Not(Contains("")));
  }
  EXPECT_EQ(with_choices, (std::set<std::string>{"--output", "--task", "--precision", "--lr-scheduler-type",
                                                 "--optimizer", "--evaluation-split", "--activation", "--head-pooling",
                                                 "--class-balance", "--warm-start-part"}));
}

}  // namespace
}  // namespace attune::cli
