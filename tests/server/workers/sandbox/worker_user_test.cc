#include "server/workers/sandbox/worker_user.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/files.h"
#include "tests/server/workers/sandbox/in_child.h"

namespace attune::workers {
namespace {

using ::testing::HasSubstr;

const WorkerUser kNobody{.name = "nobody", .uid = 65534, .gid = 65534};

TEST(FindWorkerUser, ByNameOrNumber) {
  EXPECT_EQ(FindWorkerUser("root")->uid, 0);
  EXPECT_EQ(FindWorkerUser("0")->name, "root");
  EXPECT_EQ(FindWorkerUser("nobody")->uid, kNobody.uid);
  EXPECT_EQ(FindWorkerUser("61234")->gid, 65534) << "one that nobody has named; group 61234 may be anybody's";
  EXPECT_EQ(FindWorkerUser("no-such-user").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(FindWorkerUser("no-such-user").status().message()), HasSubstr("useradd --system"));
  EXPECT_EQ(FindWorkerUser("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FindWorkerUser("-1").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(WorkerUser, IsTextInBetween) {
  const WorkerUser user = WorkerUser::FromText(WorkerUser{.uid = 7, .gid = 8}.ToText()).value();
  EXPECT_EQ(user.uid, 7);
  EXPECT_EQ(user.gid, 8);
  for (const char* wrong : {"", "7", "7:", "a:b", "-1:3", "1:2:3"}) EXPECT_EQ(WorkerUser::FromText(wrong).status().code(), absl::StatusCode::kInvalidArgument) << wrong;
}

TEST(MayBecome, OnlyRootMay) {
  if (!MayBecome(kNobody).ok()) GTEST_SKIP() << MayBecome(kNobody);
  EXPECT_EQ(InChild([] {
              if (!Become(kNobody).ok()) return 1;
              return MayBecome({.name = "root"}).code() == absl::StatusCode::kFailedPrecondition ? 0 : 2;
            }),
            0);
}

TEST(MayWriteAs, TriesIt) {
  if (!MayBecome(kNobody).ok()) GTEST_SKIP() << MayBecome(kNobody);
  TemporaryDirectory directory;
  ASSERT_EQ(chmod(directory.path().c_str(), 0700), 0);
  EXPECT_TRUE(MayWriteAs(kNobody, directory.path()).ok());
  EXPECT_TRUE(ListDirectory(directory.path())->empty());
  const absl::Status missing = MayWriteAs(kNobody, directory.path() + "/missing");
  EXPECT_EQ(missing.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("No such file or directory"));
  EXPECT_EQ(geteuid(), 0u) << "a child has tried";
}

// With the powers of root that a worker keeps, and without those that it does not need.
TEST(Become, AnotherUserInEveryThreadForGood) {
  if (!MayBecome(kNobody).ok()) GTEST_SKIP() << MayBecome(kNobody);
  TemporaryDirectory directory;
  const std::string secret = directory.path() + "/secret", made = directory.path() + "/made";
  std::ofstream(secret) << "of root alone";
  ASSERT_EQ(chmod(secret.c_str(), 0600), 0);
  const pid_t other = getpid();
  const auto check = [&] {
    if (geteuid() != 65534 || getuid() != 65534 || getegid() != 65534 || getgroups(0, nullptr) != 0) return 1;
    if (ErrorOf(kill(other, 0)) != EPERM) return 2;                                                       // root's processes are out of reach
    if (ErrorOf(setuid(0)) != EPERM || ErrorOf(chown(secret.c_str(), 65534, 65534)) != EPERM) return 3;  // and there is no way back
    return ErrorOf(open(secret.c_str(), O_RDONLY | O_CLOEXEC)) == 0 ? 0 : 4;                              // which files are read is Landlock's affair
  };
  EXPECT_EQ(InChild([&] {
              WaitingThreads threads(4);
              if (!Become(kNobody).ok()) return 10;
              for (const int result : threads.Run(check)) {
                if (result != 0) return 20 + result;
              }
              const int file = open(made.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
              struct stat facts = {};
              if (fstat(file, &facts) != 0 || facts.st_uid != 65534) return 11;
              if (ErrorOf(open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC)) != 0) return 12;  // plans measure memory with it
              return check();
            }),
            0);
  EXPECT_EQ(InChild([&] { return ErrorOf(kill(other, 0)); }), 0) << "what root may do";
}

}  // namespace
}  // namespace attune::workers
