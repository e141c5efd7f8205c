#include "server/datasets/images/entry_name.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attune::datasets {
namespace {

using ::testing::HasSubstr;

TEST(EntryNameTest, PathsAreNormalised) {
  for (const auto& [name, path] :
       {std::pair("a/b.jpg", "a/b.jpg"), std::pair("./a//b.jpg", "a/b.jpg"), std::pair("a/./b/", "a/b"),
        std::pair("./", ""), std::pair("", ""), std::pair("größe/ü.png", "größe/ü.png"), std::pair("a..b/c", "a..b/c"),
        std::pair("cat:1/x.jpg", "cat:1/x.jpg")}) {
    const EntryName judged = JudgeEntryName(name);
    EXPECT_FALSE(judged.fault.has_value()) << name;
    EXPECT_FALSE(judged.ignored) << name;
    EXPECT_EQ(judged.path, path);
  }
}

TEST(EntryNameTest, UNSAFE_ENTRY) {
  for (const auto& [name, says] :
       {std::pair(std::string("../x.jpg"), "\"..\""), std::pair(std::string("a/../../x.jpg"), "\"..\""),
        std::pair(std::string("a/.."), "\"..\""), std::pair(std::string("/etc/passwd"), "absolute"),
        std::pair(std::string("C:/x.jpg"), "absolute"), std::pair(std::string("c:\\x.jpg"), "absolute"),
        std::pair(std::string("\\\\server\\x.jpg"), "absolute"), std::pair(std::string(5000, 'x'), "4096")}) {
    const EntryName judged = JudgeEntryName(name);
    ASSERT_TRUE(judged.fault.has_value()) << name;
    EXPECT_EQ(judged.fault->kind, v1::RowIssue::KIND_UNSAFE_ENTRY);
    EXPECT_THAT(judged.fault->message, HasSubstr(says));
  }
}

TEST(EntryNameTest, NOT_UTF8) {
  const EntryName judged = JudgeEntryName("caf\xe9/1.jpg");
  ASSERT_TRUE(judged.fault.has_value());
  EXPECT_EQ(judged.fault->kind, v1::RowIssue::KIND_NOT_UTF8);
}

TEST(EntryNameTest, WhatSystemsLeaveBehindIsIgnored) {
  for (const char* name :
       {".DS_Store", "a/.git/x.jpg", "__MACOSX/cat/._1.jpg", "cat/._1.jpg", "cat/Thumbs.db", "cat/desktop.ini"}) {
    EXPECT_TRUE(JudgeEntryName(name).ignored) << name;
  }
  EXPECT_TRUE(JudgeEntryName(".hidden/../../x").fault.has_value()) << "hiding makes nothing safe";
}

TEST(EntryNameTest, Endings) {
  EXPECT_EQ(EndingOf("a.b/c.JPG"), ".jpg");
  EXPECT_EQ(EndingOf("a.b/c"), "");
  EXPECT_EQ(FolderOf("a/b/c.jpg"), "a/b");
  EXPECT_EQ(FolderOf("c.jpg"), "");
  for (const char* name : {"a.jpg", "a.JPEG", "x/a.png", "a.webp", "a.bmp", "a.pgm", "a.gif", "a.heic"})
    EXPECT_TRUE(HasImageEnding(name)) << name;
  for (const char* name : {"LICENSE", "a.txt", "jpg", "a.jpg.txt"}) EXPECT_FALSE(HasImageEnding(name)) << name;
  for (const char* name : {"a.zip", "a.tar.gz", "a.7z"}) EXPECT_TRUE(HasArchiveEnding(name)) << name;
  EXPECT_FALSE(HasArchiveEnding("a.jpg"));
  for (const char* name : {"metadata.csv", "train/Metadata.jsonl", "labels.tsv", "manifest.csv"})
    EXPECT_TRUE(IsManifestName(name)) << name;
  for (const char* name : {"metadata.json", "cat/notes.csv", "metadata", "labels.csv/x.jpg"})
    EXPECT_FALSE(IsManifestName(name)) << name;
  EXPECT_TRUE(EndingFits("a.JPG", "jpeg") && EndingFits("a.pgm", "pnm") && EndingFits("a.png", "png"));
  EXPECT_FALSE(EndingFits("a.jpg", "png"));
}

TEST(EntryNameTest, ImagesAreKnownByTheirFirstBytes) {
  using namespace std::string_view_literals;
  for (const std::string_view bytes : {"\xff\xd8\xff\xe0"sv, "\x89PNG\r\n\x1a\n..."sv, "RIFF\0\0\0\0WEBPVP8 "sv})
    EXPECT_TRUE(StartsAsImage(bytes));
  for (const std::string_view bytes : {""sv, "RIFF"sv, "RIFF\0\0\0\0WAVE"sv, "BM and other texts"sv, "P5 is a name"sv})
    EXPECT_FALSE(StartsAsImage(bytes));
}

}  // namespace
}  // namespace attune::datasets
