#include "server/datasets/formats/format.h"

#include <cstdlib>
#include <string>

#include "absl/strings/ascii.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/files.h"

namespace attune::datasets {
namespace {

using ::testing::HasSubstr;

TEST(FormatTest, IsFoundByNameOrById) {
  for (const auto& [filename, id] :
       {std::pair{"train.jsonl", v1::FILE_FORMAT_JSONL}, std::pair{"a.ndjson", v1::FILE_FORMAT_JSONL},
        std::pair{"A.CSV", v1::FILE_FORMAT_CSV}, std::pair{"a.csv.gz", v1::FILE_FORMAT_CSV},
        std::pair{"a.b.tsv.zst", v1::FILE_FORMAT_TSV}, std::pair{"photos.tar", v1::FILE_FORMAT_TAR},
        std::pair{"photos.TAR.gz", v1::FILE_FORMAT_TAR}, std::pair{"photos.tgz", v1::FILE_FORMAT_TAR},
        std::pair{"photos.tar.zst", v1::FILE_FORMAT_TAR}, std::pair{"photos.zip", v1::FILE_FORMAT_ZIP},
        std::pair{"t10k-images-idx3-ubyte.gz", v1::FILE_FORMAT_IDX},
        std::pair{"train-labels.idx1-ubyte", v1::FILE_FORMAT_IDX}}) {
    auto format = FindFormat(v1::FILE_FORMAT_UNSPECIFIED, filename);
    ASSERT_TRUE(format.ok()) << filename << format.status();
    EXPECT_EQ((*format)->id, id) << filename;
  }
  EXPECT_EQ((*FindFormat(v1::FILE_FORMAT_TSV, "a.csv"))->name, "TSV");
}

TEST(FormatTest, UnknownFormatsListTheKnown) {
  for (const auto& status : {FindFormat(v1::FILE_FORMAT_UNSPECIFIED, "a.parquet").status(),
                             FindFormat(v1::FILE_FORMAT_UNSPECIFIED, "csv").status(),
                             FindFormat(v1::FILE_FORMAT_UNSPECIFIED, "a.csv.gz.gz").status(),
                             FindFormat(static_cast<v1::FileFormat>(99), "a.csv").status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(".jsonl, .ndjson, .csv, .tsv"));
    EXPECT_THAT(std::string(status.message()), HasSubstr("format"));
  }
}

// A format is a file that registers itself: NAME_format.cc and the registration NAME go together, and every value of
// the API has one.
TEST(FormatTest, FilesAndRegistrationsMatch) {
  const char* source = std::getenv("ATTUNE_SOURCE_DIR");
  if (source == nullptr) GTEST_SKIP() << "ATTUNE_SOURCE_DIR is not set; run through ctest";
  std::vector<std::string> files;
  for (const char* folder : {"formats", "images"}) {
    auto names = ListDirectory(std::string(source) + "/server/datasets/" + folder);
    ASSERT_TRUE(names.ok()) << names.status();
    for (const std::string& name : *names) {
      if (name.ends_with("_format.cc")) files.push_back(name.substr(0, name.size() - 10));
    }
  }
  std::vector<std::string> registered;
  for (const Format* format : AllFormats()) registered.push_back(absl::AsciiStrToLower(format->name));
  EXPECT_THAT(registered, testing::UnorderedElementsAreArray(files));
  EXPECT_EQ(registered.size(), static_cast<size_t>(v1::FileFormat_ARRAYSIZE - 1));
}

}  // namespace
}  // namespace attune::datasets
