#include "server/scheduler/feature_cache_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"
#include "server/base/str_cat.h"

namespace attune::scheduler {
namespace {

class FeatureCacheFilesTest : public ::testing::Test {
 protected:
  // `age`: hours since it was used.
  void Table(const std::string& name, size_t bytes, int age) {
    const std::filesystem::path path = std::filesystem::path(root_) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << std::string(bytes, 'x');
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - std::chrono::hours(age));
  }
  bool Has(const std::string& name) const { return FileExists(StrCat(root_, "/", name)); }
  absl::StatusOr<std::string> Prepare(const std::string& project, int64_t max_bytes = 1000) { return PrepareFeatureCache(Files::Posix(), root_, project, max_bytes); }

  TemporaryDirectory directory_;
  const std::string root_ = directory_.path() + "/feature-cache";
};

TEST_F(FeatureCacheFilesTest, EachProjectHasADirectory) {
  EXPECT_EQ(*Prepare("default"), root_ + "/default");
  EXPECT_EQ(*Prepare("lab"), root_ + "/lab");
  EXPECT_TRUE(std::filesystem::is_directory(root_ + "/default"));
  EXPECT_TRUE(std::filesystem::is_directory(root_ + "/lab"));
}

TEST_F(FeatureCacheFilesTest, TheLimitIsForAllProjectsTogetherAndTheLongestUnusedGoFirst) {
  Table("a/old.features", 400, 3);
  Table("b/older.features", 400, 4);
  Table("a/new.features", 400, 1);
  ASSERT_TRUE(Prepare("b", 900).ok());
  EXPECT_FALSE(Has("b/older.features"));
  EXPECT_TRUE(Has("a/old.features"));
  EXPECT_TRUE(Has("a/new.features"));
}

TEST_F(FeatureCacheFilesTest, RubbishGoesAndWhatIsBeingWrittenStays) {
  Table(StrCat("a/t.features.", getpid(), ".tmp"), 10, 0);
  Table("a/t.features.nobody.tmp", 10, 0);
  Table("a/t.features.999999999.tmp", 10, 0);
  ASSERT_TRUE(Prepare("b").ok());
  EXPECT_TRUE(Has(StrCat("a/t.features.", getpid(), ".tmp")));
  EXPECT_FALSE(Has("a/t.features.nobody.tmp"));
  EXPECT_FALSE(Has("a/t.features.999999999.tmp"));
}

// Of before projects had directories: whose data they came from is not known.
TEST_F(FeatureCacheFilesTest, TablesOfNoProjectGo) {
  Table("t.features", 10, 0);
  ASSERT_TRUE(Prepare("a").ok());
  EXPECT_FALSE(Has("t.features"));
}

}  // namespace
}  // namespace attune::scheduler
