#include "server/datasets/images/archive_reader.h"

#include <fstream>

#include "gmock/gmock.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "tests/server/datasets/images/archive_files.h"

namespace attune::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Type = ArchiveEntry::Type;

class ArchiveReaderTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<ArchiveReader>> Open(const std::string& filename, const std::string& content,
                                                      ArchiveLimits limits = {}) {
    const std::string path = directory_.path() + "/file";
    std::ofstream(path, std::ios::binary) << content;
    const InputFile file{.path = path, .filename = filename, .max_unpacked_bytes = max_unpacked_bytes_, .max_expansion = max_expansion_};
    return filename.ends_with(".zip") ? OpenZip(file, limits) : OpenTar(file, limits);
  }
  // name=content of all entries; of those that are no files their type.
  absl::StatusOr<std::vector<std::string>> ReadAll(const std::string& filename, const std::string& content,
                                                   ArchiveLimits limits = {}) {
    ATTUNE_ASSIGN_OR_RETURN(auto reader, Open(filename, content, limits));
    std::vector<std::string> all;
    ArchiveEntry entry;
    std::string bytes;
    while (true) {
      ATTUNE_ASSIGN_OR_RETURN(const bool got, reader->Next(entry));
      if (!got) return all;
      if (entry.type != Type::kFile) {
        all.push_back(StrCat(entry.name, "=", static_cast<int>(entry.type)));
        continue;
      }
      ATTUNE_ASSIGN_OR_RETURN(const EntryContent read, reader->Read(kMaxBytes, bytes));
      all.push_back(read.outcome == EntryContent::Outcome::kRead       ? StrCat(entry.name, "=", bytes)
                    : read.outcome == EntryContent::Outcome::kTooLarge ? entry.name + " is too large"
                                                                       : entry.name + " is damaged: " + read.detail);
    }
  }
  std::string Fails(const std::string& filename, const std::string& content, ArchiveLimits limits = {}) {
    const absl::Status status = ReadAll(filename, content, limits).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(StrCat("file '", filename, "'")));
    return std::string(status.message());
  }

  static constexpr int64_t kMaxBytes = int64_t{40} << 20;
  TemporaryDirectory directory_;
  int64_t max_unpacked_bytes_ = int64_t{1} << 30, max_expansion_ = 200;
};

const std::vector<MadeEntry>& Simple() {
  static const auto& entries = *new std::vector<MadeEntry>{
      {"a/", "", AE_IFDIR}, {"a/größe.txt", "first"}, {"b.txt", std::string(700'000, 'x')}, {"empty", ""}};
  return entries;
}

TEST_F(ArchiveReaderTest, ReadsEntriesInOrder) {
  const auto expected = ElementsAre("a/=1", "a/größe.txt=first", "b.txt=" + std::string(700'000, 'x'), "empty=");
  for (const auto& [filename, content] :
       {std::pair("a.tar", MakeTar(Simple())), std::pair("a.tar.gz", MakeTarGz(Simple())),
        std::pair("named-plainly.tar", MakeTarGz(Simple())), std::pair("a.zip", MakeZip(Simple()))}) {
    const auto all = ReadAll(filename, content);
    ASSERT_TRUE(all.ok()) << filename << all.status();
    EXPECT_THAT(*all, expected) << filename;
  }
  const auto pax = ReadAll("pax.tar", MakeArchive({{std::string(300, 'n') + "/größe.txt", "x"}},
                                                  [](struct archive* a) { archive_write_set_format_pax(a); }));
  ASSERT_TRUE(pax.ok()) << pax.status();
  EXPECT_THAT(*pax, ElementsAre(std::string(300, 'n') + "/größe.txt=x"));
}

TEST_F(ArchiveReaderTest, WhatIsNotReadIsPassedOver) {
  for (const auto& [filename, content] :
       {std::pair("a.tar", MakeTar(Simple())), std::pair("a.zip", MakeZip(Simple()))}) {
    auto reader = Open(filename, content);
    ASSERT_TRUE(reader.ok()) << reader.status();
    ArchiveEntry entry;
    int entries = 0;
    while (*(*reader)->Next(entry)) ++entries;
    EXPECT_EQ(entries, 4);
    EXPECT_GT((*reader)->file_bytes(), 0);
    EXPECT_LE((*reader)->file_bytes(), static_cast<int64_t>(content.size()));
  }
}

TEST_F(ArchiveReaderTest, LinksAndDevicesShowAsWhatTheyAre) {
  const std::vector<MadeEntry> entries = {{"file", "x"},
                                          {"symbolic", "", AE_IFLNK, "/etc/passwd"},
                                          {"hard", "", AE_IFREG, "file"},
                                          {"device", "", AE_IFCHR},
                                          {"pipe", "", AE_IFIFO}};
  const auto tar = ReadAll("a.tar", MakeTar(entries));
  ASSERT_TRUE(tar.ok()) << tar.status();
  EXPECT_THAT(*tar, ElementsAre("file=x", "symbolic=2", "hard=3", "device=4", "pipe=4"));
  const auto zip = ReadAll("a.zip", MakeZip({entries[0], entries[1]}));
  ASSERT_TRUE(zip.ok()) << zip.status();
  EXPECT_THAT(*zip, ElementsAre("file=x", "symbolic=2"));
}

TEST_F(ArchiveReaderTest, NamesComeAsTheyStand) {
  const auto all = ReadAll("a.tar", MakeTar({{"../up", "1"}, {"/absolute", "2"}, {"caf\xe9.jpg", "3"}}));
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(*all, ElementsAre("../up=1", "/absolute=2", "caf\xe9.jpg=3"));
}

TEST_F(ArchiveReaderTest, WhatIsNoArchiveIsRefused) {
  for (const char* filename : {"a.tar", "a.zip"}) {
    for (const std::string& content : {std::string("text,label\n"), std::string(3000, '\xff'), MakeZip({}) + "x"}) {
      if (filename == std::string("a.zip") && content.starts_with("PK")) continue;
      EXPECT_THAT(Fails(filename, content), HasSubstr("upload it under its real name")) << filename;
    }
  }
  EXPECT_THAT(Fails("a.zip", MakeTar(Simple())), HasSubstr("is not a ZIP archive"));
  EXPECT_THAT(Fails("a.tar", MakeZip(Simple())), HasSubstr("is not a tar archive"));
  EXPECT_THAT(Fails("a.tar.gz", MakeTar(Simple())), HasSubstr("not a gzip file"));
}

TEST_F(ArchiveReaderTest, CutShort) {
  const std::string tar = MakeTar(Simple()), packed = MakeTarGz(Simple()), zip = MakeZip(Simple());
  EXPECT_THAT(Fails("a.tar", tar.substr(0, 300'000)), HasSubstr("is cut short"));
  EXPECT_THAT(Fails("a.tar.gz", packed.substr(0, packed.size() / 2)), HasSubstr("is cut short"));
  EXPECT_THAT(Fails("a.zip", zip.substr(0, zip.size() - 40)), HasSubstr("its end is missing"));
}

// Every length and many changed bytes: an answer or INVALID_ARGUMENT, never a crash (ASan watches).
TEST_F(ArchiveReaderTest, DamageNeverCrashes) {
  const std::vector<MadeEntry> entries = {{"a/1.txt", "first"}, {"b/2.txt", std::string(600, 'y')}};
  for (const auto& [filename, good] : {std::pair("a.tar", MakeTar(entries)), std::pair("a.zip", MakeZip(entries))}) {
    for (size_t i = 0; i < good.size(); i += 3) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ 0xff);
      for (const std::string& content : {bad, good.substr(0, i)}) {
        const absl::Status status = ReadAll(filename, content).status();
        EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kInvalidArgument) << status;
      }
    }
  }
}

TEST_F(ArchiveReaderTest, LargeEntriesAreSkippedAndTheRestIsRead) {
  const std::vector<MadeEntry> entries = {{"large", std::string(kMaxBytes + 1, '\0')}, {"small", "x"}};
  for (const auto& [filename, content] : {std::pair("a.tar", MakeTar(entries)), std::pair("a.zip", MakeZip(entries))}) {
    const auto all = ReadAll(filename, content);
    ASSERT_TRUE(all.ok()) << all.status();
    EXPECT_THAT(*all, ElementsAre("large is too large", "small=x"));
  }
}

TEST_F(ArchiveReaderTest, DecompressionBombs) {
  const std::string zeros(size_t{30} << 20, '\0');
  const std::vector<MadeEntry> entries = {{"1", zeros}, {"2", zeros}, {"3", zeros}};
  const std::string zip = MakeZip(entries), packed = MakeTarGz(entries);
  EXPECT_THAT(Fails("a.zip", zip), HasSubstr("unpacks to more than 200 times its size"));
  EXPECT_THAT(Fails("a.tar.gz", packed), HasSubstr("unpacks to more than 200 times its size"));
  max_expansion_ = 2000;
  EXPECT_TRUE(ReadAll("a.zip", zip).ok());
  max_unpacked_bytes_ = int64_t{40} << 20;
  EXPECT_THAT(Fails("a.zip", zip), HasSubstr("unpacks to more than 41943040 bytes"));
  EXPECT_THAT(Fails("a.tar.gz", packed), HasSubstr("unpacks to more than 41943040 bytes"));
}

TEST_F(ArchiveReaderTest, TooManyEntries) {
  std::vector<MadeEntry> entries;
  for (int i = 0; i < 20; ++i) entries.push_back({StrCat("name-", i), "x"});
  for (const auto& [filename, content] : {std::pair("a.tar", MakeTar(entries)), std::pair("a.zip", MakeZip(entries))}) {
    EXPECT_TRUE(ReadAll(filename, content, {.max_entries = 20}).ok());
    EXPECT_THAT(Fails(filename, content, {.max_entries = 19}), HasSubstr("has more than 19 entries"));
  }
}

// A ZIP's directory is held before its first entry is seen, so its size has a limit of its own.
TEST_F(ArchiveReaderTest, AHugeDirectoryIsNotRead) {
  std::vector<MadeEntry> entries;
  for (int i = 0; i < 10'000; ++i) entries.push_back({StrCat(std::string(100, 'n'), i), ""});
  EXPECT_THAT(Fails("a.zip", MakeZip(entries), {.max_entries = 100}), HasSubstr("names that are too long"));
}

TEST_F(ArchiveReaderTest, EncryptedEntriesSayThatTheyAre) {
  const std::string zip = MakeArchive({{"secret.png", "content"}}, [](struct archive* archive) {
    archive_write_set_format_zip(archive);
    ASSERT_EQ(archive_write_set_options(archive, "zip:encryption=zipcrypt"), ARCHIVE_OK);
    archive_write_set_passphrase(archive, "password");
  });
  const auto all = ReadAll("a.zip", zip);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(*all, ElementsAre("secret.png is damaged: it is encrypted: pack it without a password"));
}

}  // namespace
}  // namespace attune::datasets
