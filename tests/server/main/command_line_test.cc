#include "server/main/command_line.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/files.h"
#include "server/main/option_keys.h"

namespace attune {
namespace {

using ::testing::HasSubstr;

std::string Fault(std::vector<std::string> arguments) {
  auto command = ParseCommandLine(std::move(arguments));
  EXPECT_FALSE(command.ok());
  return std::string(command.status().message());
}

TEST(CommandLineTest, NothingIsTheDefaults) {
  auto command = ParseCommandLine({});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->options.listen.address, "127.0.0.1:50051");
  EXPECT_EQ(command->options.workers.job_slots, 1);
  EXPECT_FALSE(command->print.has_value());
}

TEST(CommandLineTest, FlagsInBothForms) {
  auto command = ParseCommandLine({"--listen", "0.0.0.0:0", "--job-slots=3", "--allow-insecure-network", "--data-dir", "x"});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->options.listen.address, "0.0.0.0:0");
  EXPECT_EQ(command->options.workers.job_slots, 3);
  EXPECT_TRUE(command->options.listen.allow_insecure_network);
  EXPECT_EQ(command->options.storage.data_dir, "x");
}

TEST(CommandLineTest, AFlagBeatsTheFileAndTheFileTheDefault) {
  TemporaryDirectory directory;
  std::string file = directory.path() + "/attune.yaml";
  ASSERT_TRUE(WriteFileAtomically(Files::Posix(), file, "job_slots: 2\nwarm_workers: 5\nallow_insecure_network: true\n").ok());
  auto command = ParseCommandLine({"--job-slots", "7", "--config", file, "--allow-insecure-network=false"});
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->options.workers.job_slots, 7);
  EXPECT_EQ(command->options.workers.warm_workers, 5);
  EXPECT_FALSE(command->options.listen.allow_insecure_network);
  EXPECT_EQ(command->options.storage.upload_expiry_hours, 24);
}

TEST(CommandLineTest, FaultsSayWhatToDo) {
  EXPECT_THAT(Fault({"--job-slot", "2"}), HasSubstr("unknown argument \"--job-slot\"; did you mean --job-slots?"));
  EXPECT_THAT(Fault({"--xyzzy"}), HasSubstr("--help"));
  EXPECT_THAT(Fault({"serve"}), HasSubstr("unknown argument \"serve\""));
  EXPECT_THAT(Fault({"--job-slots", "x"}), HasSubstr("--job-slots must be a whole number from 1 to 64; got \"x\""));
  EXPECT_THAT(Fault({"--job-slots"}), HasSubstr("--job-slots"));
  EXPECT_THAT(Fault({"--job-slots", "1", "--job-slots", "2"}), HasSubstr("--job-slots"));
  EXPECT_THAT(Fault({"--allow-insecure-network=perhaps"}), HasSubstr("--allow-insecure-network must be true or false"));
  EXPECT_THAT(Fault({"--listen", "0.0.0.0:50051"}), HasSubstr("--allow-insecure-network"));
  EXPECT_THAT(Fault({"--config", "/no/such/file"}), HasSubstr("/no/such/file"));
}

TEST(CommandLineTest, HelpAndVersion) {
  auto help = ParseCommandLine({"--help"});
  ASSERT_TRUE(help.ok() && help->print.has_value());
  for (const OptionKey& key : OptionKeys()) EXPECT_THAT(*help->print, HasSubstr(key.Flag()));
  auto version = ParseCommandLine({"--version"});
  ASSERT_TRUE(version.ok() && version->print.has_value());
  EXPECT_EQ(*version->print, std::string("attune-server ") + kServerVersion + "\n");
}

}  // namespace
}  // namespace attune
