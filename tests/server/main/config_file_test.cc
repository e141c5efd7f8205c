#include "server/main/config_file.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune {
namespace {

using ::testing::HasSubstr;

TEST(ConfigFileTest, SetsWhatItNamesAndLeavesTheRest) {
  ServerOptions options;
  options.workers.threads = 3;
  absl::Status status = ApplyConfig(
      "# Attune\n"
      "listen: 127.0.0.1:0\n"
      "data_dir: /var/lib/attune   # disk with room\n"
      "job_slots: 2\n"
      "feature_cache_bytes: 1073741824\n"
      "allow_insecure_network: true\n"
      "metrics_listen: \"127.0.0.1:9464\"\n",
      "a.yaml", options);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(options.listen.address, "127.0.0.1:0");
  EXPECT_EQ(options.storage.data_dir, "/var/lib/attune");
  EXPECT_EQ(options.workers.job_slots, 2);
  EXPECT_EQ(options.workers.feature_cache_bytes, 1 << 30);
  EXPECT_TRUE(options.listen.allow_insecure_network);
  EXPECT_EQ(options.operation.metrics_listen, "127.0.0.1:9464");
  EXPECT_EQ(options.workers.threads, 3);
}

TEST(ConfigFileTest, AnEmptyFileSaysNothing) {
  ServerOptions options;
  EXPECT_TRUE(ApplyConfig("", "a.yaml", options).ok());
  EXPECT_TRUE(ApplyConfig("# only a comment\n", "a.yaml", options).ok());
}

TEST(ConfigFileTest, FaultsHaveALineAndAWayOut) {
  struct Case {
    const char* yaml;
    const char* message;
  };
  const Case cases[] = {
      {"job_slots: 1\njob_slot: 2\n", "a.yaml:2: unknown key \"job_slot\"; did you mean \"job_slots\"?"},
      {"xyzzy: 2\n", "a.yaml:1: unknown key \"xyzzy\"; the keys are listen, port_file,"},
      {"job-slots: 2\n", "did you mean \"job_slots\"?"},
      {"\njob_slots: many\n", "a.yaml:2: job_slots must be a whole number from 1 to 64; got \"many\""},
      {"job_slots: [1, 2]\n", "a.yaml:1: job_slots must be a single value; got a list"},
      {"listen:\n  address: x\n", "listen must be a single value; got a map"},
      {"job_slots:\ndata_dir: x\n", "a.yaml:1: job_slots has no value"},
      {"job_slots: 1\ndata_dir: x\njob_slots: 2\n", "a.yaml:3: job_slots is here twice, first on line 1"},
      {"- job_slots\n", "a.yaml:1: the file must hold keys and values"},
      {"just text\n", "a.yaml:1: the file must hold keys and values"},
      {"[1]: 2\n", "a key must be a word"},
      {"job_slots: 1\n  data_dir: [\n", "not valid YAML"},
      {"job_slots: [1\n", "not valid YAML"},
      {"max_upload_bytes: 1e9\n", "max_upload_bytes must be a whole number"},
  };
  for (const Case& c : cases) {
    ServerOptions options;
    absl::Status status = ApplyConfig(c.yaml, "a.yaml", options);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.yaml;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message)) << c.yaml;
  }
}

TEST(ConfigFileTest, AllFaultsAreReportedAtOnce) {
  ServerOptions options;
  std::string message(ApplyConfig("job_slots: 0\nwarm_workers: 0\nlogs: x\n", "a.yaml", options).message());
  EXPECT_THAT(message, HasSubstr("a.yaml:1: job_slots"));
  EXPECT_THAT(message, HasSubstr("\na.yaml:2: warm_workers"));
  EXPECT_THAT(message, HasSubstr("\na.yaml:3: unknown key \"logs\""));
}

TEST(ConfigFileTest, AFileThatIsNotThere) {
  ServerOptions options;
  EXPECT_EQ(ApplyConfigFile("/no/such/attune.yaml", options).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace attune
