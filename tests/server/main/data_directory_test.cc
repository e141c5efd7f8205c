#include "server/main/data_directory.h"

#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune {
namespace {

using ::testing::HasSubstr;

TEST(DataDirectoryTest, IsMadeAndLockedUntilItGoes) {
  TemporaryDirectory scratch;
  std::string path = scratch.path() + "/a/b";
  auto first = DataDirectory::Lock(path, Files::Posix());
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ((*first)->Below("x").substr((*first)->Below("x").size() - 6), "/a/b/x");

  auto second = DataDirectory::Lock(path, Files::Posix());
  ASSERT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("process " + std::to_string(getpid())));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("--data-dir"));

  first->reset();
  EXPECT_TRUE(DataDirectory::Lock(path, Files::Posix()).ok());
}

TEST(DataDirectoryTest, APathThatCannotBeADirectory) {
  TemporaryDirectory scratch;
  std::string file = scratch.path() + "/file";
  ASSERT_TRUE(WriteFileAtomically(Files::Posix(), file, "x").ok());
  auto directory = DataDirectory::Lock(file, Files::Posix());
  ASSERT_FALSE(directory.ok());
  EXPECT_THAT(std::string(directory.status().message()), HasSubstr(file));
}

TEST(DataDirectoryTest, TheWorkerSocketFitsIntoASocketAddress) {
  TemporaryDirectory scratch;
  auto near = DataDirectory::Lock(scratch.path() + "/d", Files::Posix());
  ASSERT_TRUE(near.ok());
  EXPECT_EQ((*near)->WorkerSocketPath(), (*near)->Below("workers.sock"));
  auto far = DataDirectory::Lock(scratch.path() + "/" + std::string(150, 'x'), Files::Posix());
  ASSERT_TRUE(far.ok());
  std::string socket = (*far)->WorkerSocketPath();
  EXPECT_LT(socket.size(), 108u);
  std::string folder = socket.substr(0, socket.rfind('/'));
  EXPECT_TRUE(FileExists(folder));
  far->reset();
  EXPECT_FALSE(FileExists(folder));
}

}  // namespace
}  // namespace attune
