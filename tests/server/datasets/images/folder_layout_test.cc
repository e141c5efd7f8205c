#include "server/datasets/images/folder_layout.h"

#include "gtest/gtest.h"
#include "server/base/str_cat.h"

namespace attune::datasets {
namespace {

// split:class of each path; "-" for what is not said.
std::vector<std::string> Meanings(const std::vector<std::string_view>& paths) {
  const FolderLayout layout(paths);
  std::vector<std::string> out;
  for (const std::string_view path : paths) {
    const FolderLayout::Meaning meaning = layout.Of(path);
    out.push_back(StrCat(meaning.outside_splits ? "outside"
                         : meaning.split        ? examples::SplitName(*meaning.split)
                                                : "-",
                         ":", meaning.class_name.empty() ? "-" : meaning.class_name));
  }
  return out;
}

using Strings = std::vector<std::string>;

TEST(FolderLayoutTest, SplitsAndClasses) {
  EXPECT_EQ(Meanings({"train/cat/1.jpg", "validation/dog/2.jpg", "test/cat/3.jpg"}),
            (Strings{"train:cat", "validation:dog", "test:cat"}));
  EXPECT_EQ(Meanings({"Train/cat/1.jpg", "val/dog/2.jpg", "valid/dog/3.jpg", "dev/dog/4.jpg", "training/x/5.jpg"}),
            (Strings{"train:cat", "validation:dog", "validation:dog", "validation:dog", "train:x"}));
}

TEST(FolderLayoutTest, ClassesAlone) {
  EXPECT_EQ(Meanings({"cat/1.jpg", "dog/deep/er/2.jpg"}), (Strings{"-:cat", "-:dog"}));
}

TEST(FolderLayoutTest, OuterFoldersDoNotCount) {
  EXPECT_EQ(Meanings({"clothing-10/train/hat/1.jpg", "clothing-10/test/hat/2.jpg"}),
            (Strings{"train:hat", "test:hat"}));
  EXPECT_EQ(Meanings({"home/me/photos/cat/1.jpg", "home/me/photos/dog/1.jpg"}), (Strings{"-:cat", "-:dog"}));
  EXPECT_EQ(FolderLayout({"home/me/cat/1.jpg", "home/me/dog/1.jpg"}).outer(), "home/me/");
  EXPECT_EQ(Meanings({"photos/cover.jpg", "photos/cat/1.jpg", "photos/dog/1.jpg"}), (Strings{"-:-", "-:cat", "-:dog"}));
}

TEST(FolderLayoutTest, OneSplitIsNoOuterFolder) {
  EXPECT_EQ(Meanings({"test/cat/1.jpg", "test/dog/1.jpg"}), (Strings{"test:cat", "test:dog"}));
}

TEST(FolderLayoutTest, AClassMayBeCalledTrain) {
  EXPECT_EQ(Meanings({"train/1.jpg", "bus/1.jpg", "car/1.jpg"}), (Strings{"-:train", "-:bus", "-:car"}));
}

TEST(FolderLayoutTest, WhatIsMissing) {
  EXPECT_EQ(Meanings({"1.jpg", "cat/2.jpg"}), (Strings{"-:-", "-:cat"}));
  EXPECT_EQ(Meanings({"train/1.jpg", "test/2.jpg"}), (Strings{"train:-", "test:-"}));
  EXPECT_EQ(Meanings({"train/cat/1.jpg", "extra/cat/2.jpg", "3.jpg"}),
            (Strings{"train:cat", "outside:-", "outside:-"}));
  EXPECT_TRUE(Meanings({}).empty());
  EXPECT_TRUE(FolderLayout({}).Of("a/b").class_name == "a");
}

TEST(FolderLayoutTest, SplitNames) {
  EXPECT_EQ(ParseSplitName("VAL"), examples::Split::kValidation);
  EXPECT_EQ(ParseSplitName(""), std::nullopt);
  EXPECT_EQ(ParseSplitName("tests"), std::nullopt);
}

}  // namespace
}  // namespace attune::datasets
