// attune jobs verify-resume.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/session.h"
#include "tests/client/cli/cli_test_base.h"
#include "tests/client/cpp/scripted_replay.h"

namespace attune::cli {
namespace {

using ::testing::HasSubstr;

class VerifyCommandTest : public CliTest {};

TEST_F(VerifyCommandTest, SaysWhichFilesAreEqual) {
  client::ScriptReplay(server_, 30);
  const CliResult result = Run({"jobs", "verify-resume", "j1"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr("fineTuningJobs/j9 trains steps 20 to 30 again"));
  EXPECT_THAT(result.out, ::testing::ContainsRegex("model.safetensors +equal"));
  EXPECT_THAT(result.out, HasSubstr("fineTuningJobs/j1/checkpoints/20 leads to fineTuningJobs/j1/checkpoints/30, to the bit"));
}

TEST_F(VerifyCommandTest, OtherBytesAreExitCodeOne) {
  client::ScriptReplay(server_, 20, "other");
  const CliResult result = Run({"jobs", "verify-resume", "j1", "--from", "10"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_THAT(result.out, ::testing::ContainsRegex("model.safetensors +different"));
  EXPECT_THAT(result.out, ::testing::ContainsRegex("optimizer.safetensors +equal"));
  EXPECT_THAT(result.out, HasSubstr("with other bytes"));
}

TEST_F(VerifyCommandTest, AsADocument) {
  client::ScriptReplay(server_, 30, "other");
  const CliResult result = Run({"jobs", "verify-resume", "j1", "--output", "json"});
  EXPECT_EQ(result.code, kFailed);
  EXPECT_EQ(result.out.front(), '{') << "nothing else";
  EXPECT_THAT(result.out, HasSubstr("\"equal\": false"));
}

TEST_F(VerifyCommandTest, FaultsHaveTheirExitCodes) {
  client::ScriptReplay(server_, 30);
  EXPECT_EQ(Run({"jobs", "verify-resume", "j2"}).code, kNotFound);
  EXPECT_EQ(Run({"jobs", "verify-resume", "j1", "--from", "30"}).code, kRejected);
  EXPECT_EQ(Run({"jobs", "verify-resume", "j1", "--from", "x"}).code, kUsage);
}

}  // namespace
}  // namespace attune::cli
