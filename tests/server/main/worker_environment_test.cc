#include "server/main/worker_environment.h"

#include <sys/stat.h>
#include <unistd.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/files.h"
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
  EXPECT_THAT(WorkerEnvironment(options, {}, "/data"), Contains(Pair("ATTUNE_WORKER_SANDBOX", "auto")));
  EXPECT_THAT(WorkerEnvironment(options, {}, "/data"), Contains(Pair("ATTUNE_WORKER_DATA", "/data")));
  EXPECT_THAT(WorkerEnvironment(options, {}, "/data"), Not(Contains(Key("ATTUNE_WORKER_MEMORY"))));
  EXPECT_THAT(WorkerEnvironment(options, {}, "/data"), Not(Contains(Key("ATTUNE_WORKER_USER"))));
  options.memory_bytes = 1 << 30;
  EXPECT_THAT(WorkerEnvironment(options, {}, "/data"), Contains(Pair("ATTUNE_WORKER_MEMORY", "1073741824")));
  EXPECT_THAT(WorkerEnvironment(options, {.name = "x", .uid = 7, .gid = 8}, "/data"), Contains(Pair("ATTUNE_WORKER_USER", "7:8")));
}

TEST(ChooseWorkerUser, IsSomebodyElseWhereTheServerIsRoot) {
  TemporaryDirectory directory;
  for (const char* name : {"/jobs", "/feature-cache"}) ASSERT_EQ(mkdir((directory.path() + name).c_str(), 0700), 0);
  EXPECT_EQ(ChooseWorkerUser({.sandbox = "off"}, directory.path())->uid, 0);
  if (geteuid() != 0 || workers::BuiltWithSanitizer()) {
    EXPECT_EQ(ChooseWorkerUser({.user = "unknown-user"}, directory.path())->uid, 0) << "nobody asks";
    GTEST_SKIP() << "the rest is for root, without sanitizers";
  }
  const absl::StatusOr<workers::WorkerUser> unknown = ChooseWorkerUser({.user = "unknown-user"}, directory.path());
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.status().message()), HasSubstr("worker_user: this machine has no user \"unknown-user\""));
  EXPECT_EQ(ChooseWorkerUser({.user = "root"}, directory.path())->uid, 0);
  const absl::StatusOr<workers::WorkerUser> required = ChooseWorkerUser({.sandbox = "required", .user = "root"}, directory.path());
  EXPECT_EQ(required.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(required.status().message()), HasSubstr("name another"));
  if (workers::MayBecome({.uid = 65534, .gid = 65534}).ok()) EXPECT_EQ(ChooseWorkerUser({}, directory.path())->name, "nobody");
  ASSERT_EQ(rmdir((directory.path() + "/jobs").c_str()), 0);
  EXPECT_EQ(ChooseWorkerUser({}, directory.path())->uid, 0) << "where they cannot write";
}

TEST(DescribeSandbox, IsWhatTheKernelHasUnlessItIsOff) {
  EXPECT_EQ(DescribeSandbox({.sandbox = "off"}, {})->level(), v1::WorkerSandbox::LEVEL_OFF);
  const workers::SandboxCapability capability = workers::AskKernel();
  const v1::WorkerSandbox described = DescribeSandbox({}, {.name = "ann", .uid = 7}).value();
  EXPECT_EQ(described.user(), "ann");
  EXPECT_EQ(described.landlock_version(), capability.landlock_version);
  EXPECT_EQ(described.system_call_filter(), capability.system_call_filter);
  EXPECT_EQ(described.missing(), capability.missing);
  EXPECT_EQ(described.level() == v1::WorkerSandbox::LEVEL_FULL, capability.level() == workers::SandboxLevel::kFull);
}

TEST(DescribeSandbox, RequiredTakesAllOfIt) {
  const absl::StatusOr<v1::WorkerSandbox> described = DescribeSandbox({.sandbox = "required"}, {});
  if (workers::AskKernel().level() == workers::SandboxLevel::kFull) {
    EXPECT_TRUE(described.ok()) << described.status();
  } else {
    EXPECT_EQ(described.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(described.status().message()), HasSubstr("--worker-sandbox auto"));
  }
}

}  // namespace
}  // namespace attune
