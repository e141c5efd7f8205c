#include "server/datasets/importing/metered_files.h"

#include <vector>

#include "gtest/gtest.h"

namespace attune::datasets {
namespace {

class MeteredFilesTest : public testing::Test {
 protected:
  absl::Status Append(const std::string& path, int64_t bytes) {
    auto file = files_.Create(directory_.path() + path);
    EXPECT_TRUE(file.ok()) << file.status();
    return (*file)->Append(std::string(static_cast<size_t>(bytes), 'x'));
  }

  TemporaryDirectory directory_;
  std::vector<int64_t> asked_;
  absl::Status answer_;
  MeteredFiles files_{Files::Posix(), directory_.path() + "/kept", [this](int64_t bytes) {
                        asked_.push_back(bytes);
                        return answer_;
                      }};
};

TEST_F(MeteredFilesTest, AsksOnceForEachStep) {
  ASSERT_TRUE(files_.CreateDirectories(directory_.path() + "/kept").ok());
  EXPECT_TRUE(Append("/kept/a", kMeterStep - 1).ok());
  EXPECT_TRUE(Append("/spill", kMeterStep - 1).ok());
  EXPECT_EQ(asked_, std::vector<int64_t>()) << "each is counted apart";
  EXPECT_TRUE(Append("/kept/b", 1).ok());
  EXPECT_EQ(asked_, std::vector<int64_t>{kMeterStep});
  EXPECT_TRUE(Append("/kept/c", 10).ok());
  EXPECT_TRUE(files_.Check().ok());
  EXPECT_EQ(asked_, (std::vector<int64_t>{kMeterStep, kMeterStep + 10}));
}

TEST_F(MeteredFilesTest, WhatIsTooMuchIsNotWritten) {
  answer_ = absl::ResourceExhaustedError("over its quota");
  EXPECT_TRUE(Append("/spill", kMeterStep - 1).ok());
  EXPECT_EQ(Append("/more", 1), answer_);
  EXPECT_EQ(*FileSize(directory_.path() + "/more"), 0);
}

}  // namespace
}  // namespace attune::datasets
