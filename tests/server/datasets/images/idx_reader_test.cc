#include "server/datasets/images/idx_reader.h"

#include <fstream>

#include "gmock/gmock.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "tests/server/datasets/images/archive_files.h"

namespace attune::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class IdxReaderTest : public testing::Test {
 protected:
  absl::StatusOr<std::vector<std::string>> ReadAll(const std::string& images, const std::string& labels,
                                                   const std::string& images_name = "images-idx3-ubyte") {
    ATTUNE_ASSIGN_OR_RETURN(auto reader, IdxReader::Open(File(images_name, images), File("labels-idx1-ubyte", labels)));
    std::vector<std::string> all;
    IdxImage image;
    while (true) {
      ATTUNE_ASSIGN_OR_RETURN(const bool got, reader->Next(image));
      if (!got) return all;
      all.push_back(StrCat(static_cast<int>(image.label), ":", image.bytes));
    }
  }
  InputFile File(const std::string& name, const std::string& content) {
    const std::string path = directory_.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return {.path = path, .filename = name};
  }
  void Fails(const std::string& images, const std::string& labels, const std::string& says,
             const std::string& images_name = "images-idx3-ubyte") {
    const absl::Status status = ReadAll(images, labels, images_name).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(says));
  }

  const std::string images_ = IdxHeader({0x803, 2, 2, 3}) + "abcdefghijkl";
  const std::string labels_ = IdxHeader({0x801, 2}) + "\x07\x01";
  TemporaryDirectory directory_;
};

TEST_F(IdxReaderTest, ImagesBecomePgm) {
  const auto expected = ElementsAre("7:P5\n3 2\n255\nabcdef", "1:P5\n3 2\n255\nghijkl");
  auto all = ReadAll(images_, labels_);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(*all, expected);
  all = ReadAll(Gzip(images_), labels_, "images-idx3-ubyte.gz");
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(*all, expected);
}

TEST_F(IdxReaderTest, BadFiles) {
  Fails(images_.substr(0, images_.size() - 1), labels_, "'images-idx3-ubyte' is cut short");
  Fails(images_, labels_.substr(0, labels_.size() - 1), "'labels-idx1-ubyte' is cut short");
  Fails(images_.substr(0, 9), labels_, "cut short");
  Fails("", labels_, "cut short");
  Fails(images_ + "x", labels_, "'images-idx3-ubyte' holds more");
  Fails(images_, labels_ + "x", "'labels-idx1-ubyte' holds more");
  Fails(labels_ + std::string(20, 'x'), labels_, "not an IDX file of grey images");
  Fails(images_, images_, "not an IDX file of labels");
  Fails(images_, IdxHeader({0x801, 3}) + "abc", "has 2 images and 'labels-idx1-ubyte' has 3 labels");
  Fails(IdxHeader({0x803, 2, 0, 3}), labels_, "3 x 0 pixels");
  Fails(IdxHeader({0x803, 2, 2, 0x80000000}), labels_, "pixels");
  Fails(images_, labels_, "not a gzip file", "images-idx3-ubyte.gz");
}

TEST_F(IdxReaderTest, PairsAndSplitsByName) {
  const std::vector<std::string> names = {"train-images-idx3-ubyte.gz",
                                          "t10k-labels-idx1-ubyte.gz",
                                          "train-labels-idx1-ubyte",
                                          "t10k-images-idx3-ubyte.gz",
                                          "",
                                          "x-images.idx3-ubyte",
                                          "x-labels.idx1-ubyte"};
  EXPECT_EQ(*FindIdxLabels(names, 0), 2u);
  EXPECT_EQ(*FindIdxLabels(names, 3), 1u);
  EXPECT_EQ(*FindIdxLabels(names, 5), 6u);
  EXPECT_THAT(std::string(FindIdxLabels({"a-images-idx3-ubyte"}, 0).status().message()),
              HasSubstr("upload 'a-labels-idx1-ubyte'"));
  EXPECT_TRUE(HoldsIdxImages(names[0]));
  EXPECT_FALSE(HoldsIdxImages(names[1]));
  EXPECT_EQ(SplitOfIdx("train-images-idx3-ubyte"), examples::Split::kTrain);
  EXPECT_EQ(SplitOfIdx("t10k-images-idx3-ubyte"), examples::Split::kTest);
  EXPECT_EQ(SplitOfIdx("emnist-letters-test-images-idx3-ubyte"), examples::Split::kTest);
  EXPECT_EQ(SplitOfIdx("images-idx3-ubyte"), std::nullopt);
}

}  // namespace
}  // namespace attune::datasets
