#include "server/main/worker_environment.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/workers/sandbox/capability.h"

namespace attune {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

TEST(WorkerEnvironment, TellsOfTheSandboxAndOfMemory) {
  WorkerOptions options;
  EXPECT_THAT(WorkerEnvironment(options, "/data"), Contains(Pair("ATTUNE_WORKER_SANDBOX", "auto")));
  EXPECT_THAT(WorkerEnvironment(options, "/data"), Contains(Pair("ATTUNE_WORKER_DATA", "/data")));
  EXPECT_THAT(WorkerEnvironment(options, "/data"), Not(Contains(Key("ATTUNE_WORKER_MEMORY"))));
  options.memory_bytes = 1 << 30;
  EXPECT_THAT(WorkerEnvironment(options, "/data"), Contains(Pair("ATTUNE_WORKER_MEMORY", "1073741824")));
}

TEST(DescribeSandbox, IsWhatTheKernelHasUnlessItIsOff) {
  EXPECT_EQ(DescribeSandbox("off")->level(), v1::WorkerSandbox::LEVEL_OFF);
  const workers::SandboxCapability capability = workers::AskKernel();
  const v1::WorkerSandbox described = DescribeSandbox("auto").value();
  EXPECT_EQ(described.landlock_version(), capability.landlock_version);
  EXPECT_EQ(described.system_call_filter(), capability.system_call_filter);
  EXPECT_EQ(described.missing(), capability.missing);
  EXPECT_EQ(described.level() == v1::WorkerSandbox::LEVEL_FULL, capability.level() == workers::SandboxLevel::kFull);
}

TEST(DescribeSandbox, RequiredTakesAllOfIt) {
  const absl::StatusOr<v1::WorkerSandbox> described = DescribeSandbox("required");
  if (workers::AskKernel().level() == workers::SandboxLevel::kFull) {
    EXPECT_TRUE(described.ok()) << described.status();
  } else {
    EXPECT_EQ(described.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(described.status().message()), HasSubstr("--worker-sandbox auto"));
  }
}

}  // namespace
}  // namespace attune
