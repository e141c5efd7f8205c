#include "server/workers/sandbox/file_rules.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "gtest/gtest.h"
#include "server/base/files.h"
#include "server/base/str_cat.h"
#include "tests/server/workers/sandbox/in_child.h"

namespace attune::workers {
namespace {

int Open(const std::string& path, int flags = O_RDONLY) { return ErrorOf(open(path.c_str(), flags | O_CLOEXEC, 0600)); }

// Two jobs' directories; the process is bound to "mine".
class FileRulesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (AskKernel().landlock_version < 3) GTEST_SKIP() << AskKernel().missing;
    for (const std::string name : {"mine", "input", "other"}) {
      ASSERT_EQ(mkdir(Path(name).c_str(), 0755), 0);
      std::ofstream(Path(name + "/file")) << "text";
    }
  }
  std::string Path(const std::string& name) const { return StrCat(directory_.path(), "/", name); }
  // What `attempt` returns without rules and with them. The task list is what all_threads reads.
  std::pair<int, int> Both(const std::function<int()>& attempt) {
    const int without = InChild(attempt);
    return {without, InChild([&] { return Bind() ? attempt() : 250; })};
  }
  bool Bind() const { return RestrictFiles({.read = {Path("input"), "/proc"}, .write = {Path("mine")}}, {.landlock_version = AskKernel().landlock_version}).ok(); }

  TemporaryDirectory directory_;
};

using Pair = std::pair<int, int>;

TEST_F(FileRulesTest, ForeignFilesAreNotReadAndOnesOwnAre) {
  EXPECT_EQ(Both([&] { return Open(Path("other/file")); }), Pair(0, EACCES));
  EXPECT_EQ(Both([&] { return Open(Path("mine/file")); }), Pair(0, 0));
  EXPECT_EQ(Both([&] { return Open(Path("input/file")); }), Pair(0, 0));
  EXPECT_EQ(Both([&] { return Open(Path("other"), O_RDONLY | O_DIRECTORY); }), Pair(0, EACCES)) << "listed";
  EXPECT_EQ(Both([&] { return Open("/etc/passwd"); }), Pair(0, EACCES));
}

TEST_F(FileRulesTest, TricksWithPathsLeadNowhere) {
  ASSERT_EQ(symlink(Path("other/file").c_str(), Path("input/link").c_str()), 0);
  ASSERT_EQ(symlink(Path("other").c_str(), Path("input/folder").c_str()), 0);
  EXPECT_EQ(Both([&] { return Open(Path("input/link")); }), Pair(0, EACCES));
  EXPECT_EQ(Both([&] { return Open(Path("input/folder/file")); }), Pair(0, EACCES));
  EXPECT_EQ(Both([&] { return Open(Path("input/../other/file")); }), Pair(0, EACCES));
  EXPECT_EQ(Both([&] { return Open(StrCat("/proc/self/root", Path("other/file"))); }), Pair(0, EACCES));
  EXPECT_EQ(Both([&] {
              const int input = open(Path("input").c_str(), O_PATH | O_CLOEXEC);
              return ErrorOf(openat(input, "../other/file", O_RDONLY));
            }),
            Pair(0, EACCES));
}

TEST_F(FileRulesTest, InputsAreNotWritten) {
  EXPECT_EQ(Both([&] { return Open(Path("input/file"), O_WRONLY); }), Pair(0, EACCES));
  EXPECT_EQ(Both([&] { return ErrorOf(truncate(Path("other/file").c_str(), 0)); }), Pair(0, EACCES));
  EXPECT_EQ(Both([&] {
              const int made = Open(Path("input/new"), O_WRONLY | O_CREAT | O_EXCL);
              unlink(Path("input/new").c_str());
              return made;
            }),
            Pair(0, EACCES));
  EXPECT_EQ(Both([&] { return ErrorOf(rename(Path("mine/file").c_str(), Path("mine/file").c_str())); }), Pair(0, 0));
  EXPECT_EQ(Both([&] { return ErrorOf(unlink(Path("other/absent").c_str())); }), Pair(ENOENT, ENOENT)) << "what is not there is told as such";
  EXPECT_EQ(Both([&] {
              const int removed = ErrorOf(unlink(Path("other/file").c_str()));
              std::ofstream(Path("other/file")) << "again";
              return removed;
            }),
            Pair(0, EACCES));
}

TEST_F(FileRulesTest, TheOutputIsMadeMovedAndRemoved) {
  EXPECT_EQ(InChild([&] {
              if (!Bind()) return 1;
              const std::string step = Path("mine/step");
              if (mkdir((step + ".tmp").c_str(), 0755) != 0) return 2;
              if (Open(step + ".tmp/weights", O_WRONLY | O_CREAT) != 0) return 3;
              if (mkdir(Path("mine/deeper").c_str(), 0755) != 0) return 4;
              if (rename((step + ".tmp").c_str(), Path("mine/deeper/step").c_str()) != 0) return 5;
              if (unlink(Path("mine/deeper/step/weights").c_str()) != 0 || rmdir(Path("mine/deeper/step").c_str()) != 0) return 6;
              return 0;
            }),
            0);
}

// Whoever reads the output later, as root maybe, must not be led astray by it.
TEST_F(FileRulesTest, TheOutputHoldsNoLinksOrSockets) {
  const auto without_trace = [&](const std::function<int()>& attempt) {
    return [&, attempt] {
      const int result = attempt();
      unlink(Path("mine/made").c_str());
      return result;
    };
  };
  EXPECT_EQ(Both(without_trace([&] { return ErrorOf(symlink("/etc/passwd", Path("mine/made").c_str())); })), Pair(0, EACCES));
  EXPECT_EQ(Both(without_trace([&] { return ErrorOf(mkfifo(Path("mine/made").c_str(), 0600)); })), Pair(0, EACCES));
  const auto [without, with] = Both(without_trace([&] { return ErrorOf(link(Path("other/file").c_str(), Path("mine/made").c_str())); }));
  EXPECT_EQ(without, 0);
  EXPECT_TRUE(with == EACCES || with == EXDEV) << with;
}

TEST_F(FileRulesTest, ThreadsThatWereThereAreBoundToo) {
  const auto on_threads = [&](bool bind) {
    return InChild([&, bind] {
      WaitingThreads threads(8);
      if (bind && !Bind()) return 250;
      const std::vector<int> results = threads.Run([&] { return Open(Path("other/file")); });
      for (const int result : results) {
        if (result != results[0]) return 251;
      }
      return results[0];
    });
  };
  EXPECT_EQ(on_threads(false), 0);
  EXPECT_EQ(on_threads(true), EACCES);
}

TEST_F(FileRulesTest, RulesAreNarrowedAndNeverWidened) {
  const int version = AskKernel().landlock_version;
  EXPECT_EQ(InChild([&] {
              if (!RestrictFiles({.read = {directory_.path(), "/proc"}}, {.landlock_version = version}).ok()) return 1;
              if (Open(Path("other/file")) != 0) return 2;
              if (!Bind()) return 3;
              if (Open(Path("other/file")) != EACCES) return 4;
              if (!RestrictFiles({.read = {"/"}}, {.landlock_version = version}).ok()) return 5;
              return Open(Path("other/file"));
            }),
            EACCES);
}

TEST_F(FileRulesTest, OtherProcessesMemoryIsNotOpened) {
  const std::string parent = StrCat("/proc/", getpid(), "/mem");
  EXPECT_EQ(Both([&] { return Open(parent); }), Pair(0, EACCES));
  EXPECT_EQ(Both([&] { return Open("/proc/self/mem"); }), Pair(0, 0));
}

TEST_F(FileRulesTest, TcpIsRefusedUnlessItIsAllowed) {
  if (AskKernel().landlock_version < 4) GTEST_SKIP() << "needs Landlock 4";
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(listener, 0);
  sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener, 8), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto dial = [&] { return ErrorOf(connect(socket(AF_INET, SOCK_STREAM, 0), reinterpret_cast<const sockaddr*>(&address), sizeof(address))); };
  EXPECT_EQ(Both(dial), Pair(0, EACCES));
  EXPECT_EQ(InChild([&] { return RestrictFiles({.read = {"/proc"}}, {.landlock_version = AskKernel().landlock_version, .tcp = true}).ok() ? dial() : 250; }), 0);
  close(listener);
}

TEST_F(FileRulesTest, OtherProcessesGetNoSignals) {
  if (AskKernel().landlock_version < 7) GTEST_SKIP() << "needs Landlock 6 and its second erratum";
  const pid_t parent = getpid();
  EXPECT_EQ(Both([&] { return ErrorOf(kill(parent, 0)); }), Pair(0, EPERM));
  EXPECT_EQ(Both([&] {
              WaitingThreads threads(1);
              return threads.Run([] { return ErrorOf(kill(getpid(), 0)); })[0];
            }),
            Pair(0, 0))
      << "its own threads do";
}

}  // namespace
}  // namespace attune::workers
