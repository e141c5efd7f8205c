#include "server/workers/sandbox/sandbox.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/files.h"
#include "server/base/str_cat.h"
#include "server/workers/sandbox/library_directories.h"
#include "tests/server/workers/sandbox/in_child.h"

namespace attune::workers {
namespace {

int Open(const std::string& path, int flags = O_RDONLY) { return ErrorOf(open(path.c_str(), flags | O_CLOEXEC, 0600)); }

// A server's data directory with the files of two jobs.
class SandboxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (AskKernel().level() != SandboxLevel::kFull) GTEST_SKIP() << AskKernel().missing;
    for (const char* name : {"models", "models/m", "datasets", "datasets/mine", "datasets/other", "jobs", "jobs/mine", "jobs/other", "feature-cache"}) {
      ASSERT_EQ(mkdir(Path(name).c_str(), 0755), 0);
      std::ofstream(Path(StrCat(name, "/file"))) << "text";
    }
    std::ofstream(Path("admin.token")) << "secret";
  }
  std::string Path(const std::string& name) const { return StrCat(directory_.path(), "/", name); }
  absl::StatusOr<Sandbox> Enter(const std::string& mode = "required") const { return Sandbox::Enter({.mode = mode, .data_directory = directory_.path()}); }
  FileGrants Mine() const { return {.read = {Path("models/m"), Path("datasets/mine")}, .write = {Path("jobs/mine")}}; }

  TemporaryDirectory directory_;
};

TEST_F(SandboxTest, AnIdleWorkerReadsJobsFilesAndNoneOfTheServers) {
  EXPECT_EQ(InChild([&] {
              if (!Enter().ok()) return 1;
              for (const char* name : {"models/m/file", "datasets/other/file", "jobs/other/file"}) {
                if (Open(Path(name)) != 0) return 2;
              }
              if (Open(Path("datasets/other/file"), O_WRONLY) != EACCES) return 3;
              if (Open("/etc/passwd") != EACCES || Open("/tmp", O_RDONLY | O_DIRECTORY) != EACCES) return 4;
              return Open(Path("admin.token"));
            }),
            EACCES);
}

TEST_F(SandboxTest, ABoundWorkerReadsItsJobsFilesAlone) {
  EXPECT_EQ(InChild([&] {
              absl::StatusOr<Sandbox> sandbox = Enter();
              WaitingThreads threads(4);
              if (!sandbox.ok() || !sandbox->CloseConnections().ok() || !sandbox->Bind(Mine()).ok()) return 1;
              if (Open(Path("datasets/mine/file")) != 0 || Open(Path("jobs/mine/new"), O_WRONLY | O_CREAT) != 0) return 2;
              if (Open(Path("jobs/mine"), O_RDONLY | O_DIRECTORY) != 0) return 3;
              for (const char* name : {"datasets/other/file", "jobs/other/file", "feature-cache/file", "admin.token"}) {
                if (Open(Path(name)) != EACCES) return 4;
              }
              for (const int result : threads.Run([&] { return Open(Path("jobs/other/file")); })) {
                if (result != EACCES) return 5;
              }
              return 0;
            }),
            0);
}

TEST_F(SandboxTest, ItIsBoundOnceAndForAll) {
  EXPECT_EQ(InChild([&] {
              absl::StatusOr<Sandbox> sandbox = Enter();
              if (!sandbox.ok() || !sandbox->Bind(Mine()).ok()) return 1;
              if (!sandbox->Bind(Mine()).ok()) return 2;
              return sandbox->Bind({.read = {Path("datasets/other")}}).code() == absl::StatusCode::kFailedPrecondition ? 0 : 3;
            }),
            0);
}

// A neighbour's secret and the server's variables. Root may read them in spite of Landlock unless it gives up its powers.
TEST_F(SandboxTest, OtherProcessesEnvironmentsAreTheirOwn) {
  const std::string of_parent = StrCat("/proc/", getpid(), "/environ");
  EXPECT_EQ(InChild([&] { return Open(of_parent); }), 0);
  EXPECT_EQ(InChild([&] { return Enter().ok() ? Open(of_parent) : 250; }), EACCES);
  EXPECT_EQ(InChild([&] { return Enter().ok() ? Open("/proc/self/environ") : 250; }), 0);
}

// CUDA's libraries are loaded when the first job wants a GPU.
TEST_F(SandboxTest, LibrariesAreLoadedAndTheProcessKnowsItself) {
  EXPECT_EQ(InChild([&] {
              absl::StatusOr<Sandbox> sandbox = Enter();
              if (!sandbox.ok() || !sandbox->Bind(Mine()).ok()) return 1;
              if (dlopen("libtic.so.6", RTLD_NOW) == nullptr && dlopen("libanl.so.1", RTLD_NOW) == nullptr) return 2;
              for (const char* name : {"/proc/self/statm", "/proc/meminfo", "/proc/self/cgroup", "/sys/devices/system/cpu/online"}) {
                if (Open(name) != 0) return 3;
              }
              if (Open("/proc/self/clear_refs", O_WRONLY) != 0 || Open("/dev/null", O_RDWR) != 0) return 4;
              return Open("/dev/urandom");
            }),
            0);
}

TEST_F(SandboxTest, NoCoresNoPrivileges) {
  EXPECT_EQ(InChild([&] {
              if (!Enter().ok()) return 1;
              rlimit cores, files;
              getrlimit(RLIMIT_CORE, &cores);
              getrlimit(RLIMIT_NOFILE, &files);
              if (cores.rlim_max != 0 || files.rlim_max > 4096) return 2;
              return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 3;
            }),
            0);
}

// Faults are injected by removing a file beside the data directory.
TEST_F(SandboxTest, FilesAreRemovedWhereThatIsAllowed) {
  const TemporaryDirectory tokens;
  std::ofstream(tokens.path() + "/token") << "once";
  EXPECT_EQ(InChild([&] {
              absl::StatusOr<Sandbox> sandbox = Sandbox::Enter({.mode = "required", .data_directory = directory_.path(), .remove_from = {tokens.path()}});
              if (!sandbox.ok() || !sandbox->Bind(Mine()).ok()) return 1;
              if (Open(tokens.path() + "/token") != EACCES) return 2;
              return ErrorOf(unlink((tokens.path() + "/token").c_str()));
            }),
            0);
}

TEST_F(SandboxTest, OffIsOff) {
  EXPECT_EQ(InChild([&] {
              absl::StatusOr<Sandbox> sandbox = Enter("off");
              if (!sandbox.ok() || !sandbox->CloseConnections().ok() || !sandbox->Bind(Mine()).ok() || !sandbox->Bind({}).ok()) return 1;
              return Open(Path("jobs/other/file"));
            }),
            0);
  EXPECT_EQ(Enter("sometimes").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Capability, LevelsFollowFromWhatThereIs) {
  EXPECT_EQ((SandboxCapability{0, false, ""}).level(), SandboxLevel::kNone);
  EXPECT_EQ((SandboxCapability{0, true, ""}).level(), SandboxLevel::kPartial);
  EXPECT_EQ((SandboxCapability{7, false, ""}).level(), SandboxLevel::kPartial);
  EXPECT_EQ((SandboxCapability{2, true, ""}).level(), SandboxLevel::kPartial) << "foreign files could be cut short";
  EXPECT_EQ((SandboxCapability{3, true, ""}).level(), SandboxLevel::kFull);
  EXPECT_STREQ(SandboxLevelName(SandboxLevel::kPartial), "partial");
}

TEST(Capability, WhatLacksIsSaid) {
  const SandboxCapability capability = AskKernel();
  EXPECT_EQ(capability.missing.empty(), capability.level() == SandboxLevel::kFull) << capability.missing;
}

TEST(Libraries, TheCLibrarysFolderIsAmongThem) {
  Dl_info info;
  ASSERT_NE(dladdr(reinterpret_cast<void*>(&getpid), &info), 0);
  const std::string library = info.dli_fname;
  char* resolved = realpath(library.c_str(), nullptr);
  ASSERT_NE(resolved, nullptr);
  const std::string whole = resolved;
  std::free(resolved);
  EXPECT_THAT(LibraryDirectories(), ::testing::Contains(whole.substr(0, whole.rfind('/'))));
}

}  // namespace
}  // namespace attune::workers
