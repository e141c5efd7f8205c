#include "server/base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>

#include "server/base/errno_status.h"
#include "tests/fakes/fault_injecting_files.h"

namespace attune {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FilesTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  void Write(const std::string& name, std::string_view content) {
    auto file = Files::Posix().Create(Path(name));
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE((*file)->Append(content).ok());
  }
  TemporaryDirectory directory_;
  Files& files_ = Files::Posix();
};

TEST(ErrnoStatusTest, MapsTheErrnosThatCallersTellApart) {
  EXPECT_EQ(ErrnoStatus(ENOSPC, "write", "/x").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrnoStatus(EDQUOT, "write", "/x").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrnoStatus(ENOENT, "open", "/x").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ErrnoStatus(EIO, "sync", "/x").code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ErrnoStatus(ENOENT, "open", "/x").message(), "open /x: No such file or directory");
}

TEST_F(FilesTest, CreateTruncatesAndAppendKeeps) {
  Write("a", "first");
  Write("a", "second");
  auto file = files_.OpenForAppend(Path("a"));
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->Append("+more").ok());
  EXPECT_TRUE((*file)->Sync().ok());
  EXPECT_TRUE((*file)->Close().ok());
  EXPECT_TRUE((*file)->Close().ok()) << "Close is idempotent";
  EXPECT_EQ((*file)->Append("x").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ((*file)->Sync().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(*ReadFile(Path("a")), "second+more");
  EXPECT_EQ(*FileSize(Path("a")), 11);
}

TEST_F(FilesTest, OpenForAppendCreates) {
  ASSERT_TRUE(files_.OpenForAppend(Path("new")).ok());
  EXPECT_TRUE(FileExists(Path("new")));
}

// Aligned pieces and others in every order, so that the way changes in the midst of the file.
TEST_F(FilesTest, WhatGoesPastThePageCacheIsTheSameFile) {
  constexpr size_t kPage = kDirectAlignment;
  std::string memory(9 * kPage, '\0');
  for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<char>('a' + i / 7 % 26);
  const size_t skew = (kPage - reinterpret_cast<uintptr_t>(memory.data()) % kPage) % kPage;
  const std::string_view aligned = std::string_view(memory).substr(skew, 8 * kPage);
  std::string expected;
  auto file = files_.CreateUncached(Path("a"));
  ASSERT_TRUE(file.ok()) << file.status();
  for (const std::string_view piece : {aligned.substr(0, 2 * kPage), aligned.substr(2 * kPage, kPage), aligned.substr(3 * kPage, kPage + 17), aligned.substr(5 * kPage, 3 * kPage),
                                       aligned.substr(1, kPage - 17), aligned.substr(4 * kPage, 2 * kPage), std::string_view("end")}) {
    ASSERT_TRUE((*file)->Append(piece).ok());
    expected += piece;
  }
  ASSERT_TRUE((*file)->Sync().ok());
  ASSERT_TRUE((*file)->Close().ok());
  EXPECT_EQ(*ReadFile(Path("a")), expected);
}

TEST_F(FilesTest, MissingFilesAreNotFoundAndNamed) {
  std::string missing = Path("missing");
  for (const absl::Status& status :
       {ReadFile(missing).status(), FileSize(missing).status(), ListDirectory(missing).status(),
        MappedFile::Open(missing).status(), files_.Truncate(missing, 0), files_.Rename(missing, Path("b")),
        files_.SyncDirectory(missing), files_.FreeBytes(missing).status(), files_.Link(missing, Path("b")),
        files_.Create(Path("no/such/dir")).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(directory_.path()));
  }
  EXPECT_TRUE(files_.Remove(missing).ok());
  EXPECT_TRUE(files_.RemoveRecursively(missing).ok());
}

TEST_F(FilesTest, ReadFileHonoursItsLimit) {
  Write("a", "12345");
  EXPECT_EQ(*ReadFile(Path("a"), 5), "12345");
  EXPECT_EQ(ReadFile(Path("a"), 4).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadFile(directory_.path()).status().code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(ReadFile("/proc/self/status").ok()) << "a file whose size is reported as 0";
}

TEST_F(FilesTest, LinkReplacesNothing) {
  Write("a", "content");
  Write("other", "other");
  EXPECT_TRUE(files_.Link(Path("a"), Path("b")).ok());
  EXPECT_TRUE(files_.Link(Path("a"), Path("b")).ok());
  EXPECT_TRUE(files_.Link(Path("a"), Path("other")).ok());
  EXPECT_EQ(*ReadFile(Path("other")), "other");
  EXPECT_TRUE(files_.Remove(Path("a")).ok());
  EXPECT_EQ(*ReadFile(Path("b")), "content");
}

TEST_F(FilesTest, DirectoriesAreMadeListedAndRemoved) {
  EXPECT_TRUE(files_.CreateDirectories(Path("x/y/z")).ok());
  EXPECT_TRUE(files_.CreateDirectories(Path("x/y/z")).ok());
  EXPECT_TRUE(files_.CreateDirectories(Path("x/y/trailing/")).ok());
  Write("x/b", "");
  Write("x/a", "");
  EXPECT_THAT(*ListDirectory(Path("x")), ElementsAre("a", "b", "y"));
  EXPECT_EQ(files_.CreateDirectories(Path("x/a/below")).code(), absl::StatusCode::kInternal) << "a is a file";
  EXPECT_TRUE(files_.SyncDirectory(Path("x")).ok());
  EXPECT_TRUE(files_.RemoveRecursively(Path("x")).ok());
  EXPECT_FALSE(FileExists(Path("x")));
}

TEST_F(FilesTest, TruncateShortens) {
  Write("a", "12345");
  EXPECT_TRUE(files_.Truncate(Path("a"), 2).ok());
  EXPECT_EQ(*ReadFile(Path("a")), "12");
  EXPECT_GT(*files_.FreeBytes(directory_.path()), 0);
}

TEST_F(FilesTest, MappedFileShowsTheContentAfterTheFileIsRemoved) {
  Write("a", "mapped");
  Write("empty", "");
  auto mapped = MappedFile::Open(Path("a"));
  ASSERT_TRUE(mapped.ok());
  EXPECT_TRUE(files_.Remove(Path("a")).ok());
  EXPECT_EQ((*mapped)->view(), "mapped");
  EXPECT_EQ((*MappedFile::Open(Path("empty")))->view(), "");
  EXPECT_EQ(MappedFile::Open(directory_.path()).status().code(), absl::StatusCode::kInternal);
}

TEST_F(FilesTest, TemporaryDirectoryGoesWithItsContent) {
  std::string path;
  {
    TemporaryDirectory scratch;
    path = scratch.path();
    ASSERT_TRUE(files_.CreateDirectories(path + "/sub").ok());
  }
  EXPECT_FALSE(FileExists(path));
}

TEST_F(FilesTest, WriteFileAtomicallyKeepsTheOldContentWhateverCallFails) {
  FaultInjectingFiles faulty;
  ASSERT_TRUE(WriteFileAtomically(faulty, Path("a"), "old").ok());
  int64_t calls = static_cast<int64_t>(faulty.calls().size());
  ASSERT_GE(calls, 5);  // create, append, sync, close, rename, sync directory
  for (int64_t n = 1; n < calls; ++n) {
    faulty.Clear();
    faulty.FailCall(n);
    EXPECT_FALSE(WriteFileAtomically(faulty, Path("a"), "new").ok()) << "call " << n;
    EXPECT_EQ(*ReadFile(Path("a")), "old") << "call " << n;
    EXPECT_THAT(*ListDirectory(directory_.path()), ElementsAre("a")) << "call " << n;
  }
  faulty.Clear();
  faulty.FailCall(calls);
  EXPECT_FALSE(WriteFileAtomically(faulty, Path("a"), "new").ok()) << "the directory was not synced";
  EXPECT_EQ(*ReadFile(Path("a")), "new");
}

TEST_F(FilesTest, WriteFileAtomicallySyncsBeforeItRenames) {
  FaultInjectingFiles faulty;
  ASSERT_TRUE(WriteFileAtomically(faulty, Path("a"), "content").ok());
  faulty.LoseUnsyncedBytes();
  EXPECT_EQ(*ReadFile(Path("a")), "content");
}

TEST_F(FilesTest, FaultInjectionWritesWhatFits) {
  FaultInjectingFiles faulty;
  faulty.LimitBytes(7);
  auto file = faulty.Create(Path("a"));
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->Append("12345").ok());
  EXPECT_EQ((*file)->Append("67890").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(*ReadFile(Path("a")), "1234567");
  faulty.LimitBytes(std::nullopt);
  faulty.Inject({.op = FileOp::kAppend, .path_contains = "/a", .skip = 1, .times = 2, .short_write = 1});
  EXPECT_TRUE((*file)->Append("x").ok());
  EXPECT_FALSE((*file)->Append("yz").ok());
  EXPECT_FALSE((*file)->Append("yz").ok());
  EXPECT_TRUE((*file)->Sync().ok());
  EXPECT_TRUE((*file)->Append("lost").ok());
  faulty.LoseUnsyncedBytes();
  EXPECT_EQ(*ReadFile(Path("a")), "1234567xyy");
  EXPECT_EQ(faulty.CountCalls(FileOp::kAppend), 6);
}

}  // namespace
}  // namespace attune
