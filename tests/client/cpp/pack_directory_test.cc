#include "client/cpp/pack_directory.h"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "server/base/files.h"

namespace attune::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PackDirectoryTest : public ::testing::Test {
 protected:
  void Put(const std::string& name, const std::string& content) {
    const std::string path = Path(name);
    ASSERT_TRUE(Files::Posix().CreateDirectories(path.substr(0, path.rfind('/'))).ok());
    ASSERT_TRUE(WriteFileAtomically(Files::Posix(), path, content).ok());
  }
  std::string Path(const std::string& name) const { return directory_.path() + "/folder/" + name; }
  std::string Pack() {
    const std::string tar = directory_.path() + "/out.tar";
    const absl::Status status = PackDirectory(directory_.path() + "/folder", tar);
    EXPECT_TRUE(status.ok()) << status;
    return *ReadFile(tar);
  }
  // "name=content" of each entry, as another program reads them.
  static std::vector<std::string> Entries(const std::string& tar) {
    std::vector<std::string> entries;
    struct archive* archive = archive_read_new();
    archive_read_support_format_tar(archive);
    EXPECT_EQ(archive_read_open_memory(archive, tar.data(), tar.size()), ARCHIVE_OK);
    struct archive_entry* entry = nullptr;
    int result = ARCHIVE_OK;
    while ((result = archive_read_next_header(archive, &entry)) == ARCHIVE_OK) {
      std::string content(static_cast<size_t>(archive_entry_size(entry)), 0);
      EXPECT_EQ(archive_read_data(archive, content.data(), content.size()), static_cast<la_ssize_t>(content.size()));
      entries.push_back(std::string(archive_entry_pathname(entry)) + "=" + content);
      EXPECT_EQ(archive_entry_mtime(entry), 0);
    }
    EXPECT_EQ(result, ARCHIVE_EOF) << archive_error_string(archive);
    archive_read_free(archive);
    return entries;
  }

  TemporaryDirectory directory_;
};

TEST_F(PackDirectoryTest, SortedWithoutHiddenFiles) {
  const std::string large(600'000, 'x');
  const std::string deep = std::string(90, 'd') + "/" + std::string(90, 'n') + ".jpg";
  Put("b/2.jpg", "two");
  Put("a/1.jpg", large);
  Put(deep, "deep");
  Put(".git/config", "hidden");
  Put("a/.DS_Store", "hidden");
  ASSERT_TRUE(Files::Posix().CreateDirectories(Path("empty")).ok());
  ASSERT_EQ(::symlink(Path("b/2.jpg").c_str(), Path("link.jpg").c_str()), 0);
  const std::string tar = Pack();
  EXPECT_THAT(Entries(tar), ElementsAre("a/=", "a/1.jpg=" + large, "b/=", "b/2.jpg=two",
                                        std::string(90, 'd') + "/=", deep + "=deep", "empty/=", "link.jpg=two"));
  Put("later.txt", "x");
  ASSERT_TRUE(Files::Posix().Remove(Path("later.txt")).ok());
  EXPECT_EQ(Pack(), tar) << "the same folder gives the same bytes";
}

TEST_F(PackDirectoryTest, NothingToPack) {
  const std::string out = directory_.path() + "/out.tar";
  EXPECT_EQ(PackDirectory(directory_.path() + "/none", out).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(Files::Posix().CreateDirectories(Path("empty")).ok());
  const absl::Status status = PackDirectory(directory_.path() + "/folder", out);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("a folder for each class"));
}

}  // namespace
}  // namespace attune::client
