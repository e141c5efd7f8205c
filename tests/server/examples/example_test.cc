#include "server/examples/example.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "server/base/sha256.h"
#include "server/examples/record.h"
#include "tests/fakes/fault_injecting_files.h"

namespace attune::examples {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Example Labelled(std::string text, int32_t label, int64_t line = 1) {
  return {.text = std::move(text), .labels = {label}, .line = line};
}

class ExampleTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return directory() + "/" + name; }
  std::string directory() const { return scratch_.path() + "/d1"; }
  // Three train rows, one validation row, no test row.
  void WriteSmall() {
    auto writer = ExampleWriter::Create(Files::Posix(), directory());
    ASSERT_TRUE(writer.ok()) << writer.status();
    ASSERT_TRUE((*writer)->Add(Split::kTrain, Labelled("first", 0, 1)).ok());
    ASSERT_TRUE((*writer)->Add(Split::kValidation, Labelled("second", 1, 2)).ok());
    ASSERT_TRUE((*writer)->Add(Split::kTrain, Labelled("", 1, 3)).ok());
    ASSERT_TRUE((*writer)->Add(Split::kTrain, Labelled(std::string("n\0l", 3), 0, 4)).ok());
    manifest_ = {.labels = {"neg", "pos"}, .filenames = {"a.csv"}};
    absl::Status status = (*writer)->Finish(manifest_);
    ASSERT_TRUE(status.ok()) << status;
  }
  void Overwrite(const std::string& name, std::string_view content) {
    auto file = Files::Posix().Create(Path(name));  // not synced: hundreds of these
    ASSERT_TRUE(file.ok() && (*file)->Append(content).ok());
  }
  absl::Status FinishWith(LabelKind kind, std::vector<int32_t> labels) {
    auto writer = ExampleWriter::Create(Files::Posix(), directory());
    EXPECT_TRUE((*writer)->Add(Split::kTrain, {.text = "x", .labels = std::move(labels)}).ok());
    DatasetManifest manifest{.label_kind = kind, .labels = {"a", "b", "c"}};
    return (*writer)->Finish(manifest);
  }

  TemporaryDirectory scratch_;
  DatasetManifest manifest_;
};

TEST_F(ExampleTest, RowsComeBackBySplitInTheirOrder) {
  WriteSmall();
  auto reader = ExampleReader::Open(directory());
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->size(Split::kTrain), 3);
  EXPECT_EQ((*reader)->size(Split::kValidation), 1);
  EXPECT_EQ((*reader)->size(Split::kTest), 0);
  EXPECT_EQ((*reader)->Get(Split::kTrain, 0)->text, "first");
  EXPECT_EQ((*reader)->Get(Split::kTrain, 1)->text, "");
  EXPECT_EQ((*reader)->Get(Split::kTrain, 2)->text, std::string("n\0l", 3));
  EXPECT_EQ((*reader)->Get(Split::kValidation, 0)->line, 2);
  EXPECT_THAT((*reader)->Get(Split::kValidation, 0)->labels, ElementsAre(1));
  EXPECT_EQ((*reader)->manifest().digest, manifest_.digest);
  EXPECT_TRUE((*reader)->VerifyDigest().ok());
  for (auto [split, index] : {std::pair(Split::kTrain, int64_t{3}), std::pair(Split::kTrain, int64_t{-1}),
                              std::pair(Split::kTest, int64_t{0})}) {
    EXPECT_EQ((*reader)->Get(split, index).status().code(), absl::StatusCode::kOutOfRange);
  }
}

TEST_F(ExampleTest, DigestIsOfRowsThenIndexAndEqualInputGivesEqualBytes) {
  WriteSmall();
  EXPECT_EQ(manifest_.digest, Sha256Hex(*ReadFile(Path("rows.bin")) + *ReadFile(Path("index.bin"))));
  std::string first = manifest_.digest;
  WriteSmall();
  EXPECT_EQ(manifest_.digest, first);
}

TEST_F(ExampleTest, ManyRowsPassTheBuffer) {
  auto writer = ExampleWriter::Create(Files::Posix(), directory());
  ASSERT_TRUE(writer.ok());
  constexpr int kRows = 3000;
  for (int i = 0; i < kRows; ++i) {
    ASSERT_TRUE(
        (*writer)
            ->Add(static_cast<Split>(i % 3), {.text = std::string(1000, 'a' + i % 26), .value = i + 0.5, .line = i})
            .ok());
  }
  DatasetManifest manifest{.label_kind = LabelKind::kRegression};
  ASSERT_TRUE((*writer)->Finish(manifest).ok());
  auto reader = ExampleReader::Open(directory());
  ASSERT_TRUE(reader.ok());
  ASSERT_TRUE((*reader)->VerifyDigest().ok());
  for (int i = 0; i < kRows; ++i) {
    auto example = (*reader)->Get(static_cast<Split>(i % 3), i / 3);
    ASSERT_TRUE(example.ok());
    ASSERT_EQ(example->line, i);
    ASSERT_EQ(example->value, i + 0.5);
    ASSERT_EQ(example->text, std::string(1000, 'a' + i % 26));
  }
}

TEST_F(ExampleTest, Images) {
  auto writer = ExampleWriter::Create(Files::Posix(), directory());
  const std::string image(2'000'000, 'i');
  ASSERT_TRUE((*writer)->Add(Split::kTrain, {.image = image, .entry = "a/1.jpg", .labels = {0}}).ok());
  ASSERT_TRUE((*writer)->Add(Split::kTest, {.image = "small", .entry = "b/2.jpg", .labels = {1}}).ok());
  DatasetManifest manifest{.modality = Modality::kImage, .labels = {"a", "b"}, .filenames = {"x.tar"}};
  ASSERT_TRUE((*writer)->Finish(manifest).ok());
  auto reader = ExampleReader::Open(directory());
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->manifest().modality, Modality::kImage);
  EXPECT_EQ((*reader)->manifest().version, 2);
  auto view = (*reader)->View(Split::kTrain, 0);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->image, image);
  EXPECT_EQ(view->image.data(), (*reader)->View(Split::kTrain, 0)->image.data()) << "not a copy";
  EXPECT_EQ((*reader)->Get(Split::kTest, 0)->image, "small");
  EXPECT_EQ((*reader)->Get(Split::kTest, 0)->entry, "b/2.jpg");
  EXPECT_EQ((*reader)->View(Split::kTest, 1).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_TRUE((*reader)->VerifyDigest().ok());

  // The manifest says texts, and the rows are images.
  manifest.modality = Modality::kText;
  Overwrite("manifest.json", manifest.ToJson());
  EXPECT_EQ((*ExampleReader::Open(directory()))->View(Split::kTest, 0).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ExampleTest, ARowIsOfTheManifestsModality) {
  for (Modality modality : {Modality::kText, Modality::kImage}) {
    const bool images = modality == Modality::kImage;
    auto writer = ExampleWriter::Create(Files::Posix(), directory());
    Example other{.text = images ? "text" : "", .image = images ? "" : "image", .labels = {0}};
    ASSERT_TRUE((*writer)->Add(Split::kTrain, other).ok());
    DatasetManifest manifest{.modality = modality, .labels = {"a"}};
    EXPECT_EQ((*writer)->Finish(manifest).code(), absl::StatusCode::kInvalidArgument);
  }
  auto writer = ExampleWriter::Create(Files::Posix(), directory());
  const absl::Status status = (*writer)->Add(Split::kTrain, {.text = "t", .image = "i", .entry = "a/1.jpg"});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("a/1.jpg has both"));
}

// What the program wrote before there were images.
TEST_F(ExampleTest, VersionOneIsRead) {
  WriteSmall();
  DatasetManifest old = manifest_;
  old.version = 1;
  const std::string json = old.ToJson();
  EXPECT_EQ(json.find("modality"), std::string::npos);
  Overwrite("manifest.json", json);
  auto reader = ExampleReader::Open(directory());
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->manifest().version, 1);
  EXPECT_EQ((*reader)->manifest().modality, Modality::kText);
  EXPECT_EQ((*reader)->Get(Split::kTrain, 0)->text, "first");
  EXPECT_TRUE((*reader)->VerifyDigest().ok());
}

TEST_F(ExampleTest, EmptyDatasetIsValid) {
  auto writer = ExampleWriter::Create(Files::Posix(), directory());
  DatasetManifest manifest;
  ASSERT_TRUE((*writer)->Finish(manifest).ok());
  auto reader = ExampleReader::Open(directory());
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->size(Split::kTrain), 0);
}

TEST_F(ExampleTest, LabelsMustFitTheManifest) {
  EXPECT_TRUE(FinishWith(LabelKind::kSingleLabel, {2}).ok());
  EXPECT_TRUE(FinishWith(LabelKind::kMultiLabel, {}).ok());
  EXPECT_TRUE(FinishWith(LabelKind::kMultiLabel, {0, 2}).ok());
  EXPECT_TRUE(FinishWith(LabelKind::kRegression, {}).ok());
  struct Case {
    LabelKind kind;
    std::vector<int32_t> labels;
  };
  for (const Case& c : std::initializer_list<Case>{{LabelKind::kSingleLabel, {}},
                                                   {LabelKind::kSingleLabel, {0, 1}},
                                                   {LabelKind::kSingleLabel, {3}},
                                                   {LabelKind::kSingleLabel, {-1}},
                                                   {LabelKind::kMultiLabel, {1, 0}},
                                                   {LabelKind::kMultiLabel, {1, 1}},
                                                   {LabelKind::kRegression, {0}}}) {
    EXPECT_EQ(FinishWith(c.kind, c.labels).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ExampleReader::Open(directory()).status().code(), absl::StatusCode::kNotFound);
  }
}

TEST_F(ExampleTest, ValuesMustBeFinite) {
  auto writer = ExampleWriter::Create(Files::Posix(), directory());
  for (double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ((*writer)->Add(Split::kTrain, {.text = "x", .value = bad, .line = 7}).code(),
              absl::StatusCode::kInvalidArgument);
  }
  DatasetManifest manifest{.label_kind = LabelKind::kRegression};
  ASSERT_TRUE((*writer)->Finish(manifest).ok());
  EXPECT_EQ(manifest.rows[0], 0) << "a refused row leaves nothing";
}

TEST_F(ExampleTest, AnyFailingCallLeavesNoDataset) {
  FaultInjectingFiles files;
  auto write = [&]() -> absl::Status {
    ATTUNE_ASSIGN_OR_RETURN(auto writer, ExampleWriter::Create(files, directory()));
    for (int i = 0; i < 3; ++i)
      ATTUNE_RETURN_IF_ERROR(writer->Add(Split::kTrain, Labelled(std::string(600'000, 'x'), 0)));
    DatasetManifest manifest{.labels = {"a"}};
    return writer->Finish(manifest);
  };
  ASSERT_TRUE(write().ok());
  const int64_t calls = static_cast<int64_t>(files.calls().size());
  for (int64_t n = 3; n < calls; ++n) {  // from the removal of the old manifest on, and up to the sync after the rename
    files.Clear();
    files.FailCall(n, absl::ResourceExhaustedError("disk full"));
    EXPECT_EQ(write().code(), absl::StatusCode::kResourceExhausted) << "call " << n;
    EXPECT_EQ(ExampleReader::Open(directory()).status().code(), absl::StatusCode::kNotFound) << "call " << n;
  }
  files.Clear();
  EXPECT_TRUE(write().ok());
  files.LoseUnsyncedBytes();
  auto reader = ExampleReader::Open(directory());
  ASSERT_TRUE(reader.ok());
  EXPECT_TRUE((*reader)->VerifyDigest().ok()) << "everything was synced";
}

TEST_F(ExampleTest, DiskErrorsStick) {
  FaultInjectingFiles files;
  auto writer = ExampleWriter::Create(files, directory());
  files.LimitBytes(10);
  EXPECT_EQ((*writer)->Add(Split::kTrain, Labelled(std::string(2 << 20, 'x'), 0)).code(),
            absl::StatusCode::kResourceExhausted);
  files.Clear();
  EXPECT_EQ((*writer)->Add(Split::kTrain, Labelled("x", 0)).code(), absl::StatusCode::kResourceExhausted);
  DatasetManifest manifest{.labels = {"a"}};
  EXPECT_EQ((*writer)->Finish(manifest).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ExampleTest, DamagedDirectoriesAreDataLoss) {
  WriteSmall();
  const std::string rows = *ReadFile(Path("rows.bin"));
  const std::string index = *ReadFile(Path("index.bin"));
  const std::string manifest = *ReadFile(Path("manifest.json"));
  auto open_code = [&] { return ExampleReader::Open(directory()).status().code(); };

  Overwrite("index.bin", index.substr(0, index.size() - 8));
  EXPECT_EQ(open_code(), absl::StatusCode::kDataLoss);
  Overwrite("index.bin", index + "x");
  EXPECT_EQ(open_code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(Files::Posix().Remove(Path("index.bin")).ok());
  EXPECT_EQ(open_code(), absl::StatusCode::kDataLoss);
  Overwrite("index.bin", index);

  DatasetManifest huge = manifest_;
  huge.rows = {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max(), 6};
  Overwrite("manifest.json", huge.ToJson());
  EXPECT_EQ(open_code(), absl::StatusCode::kDataLoss);
  Overwrite("manifest.json", manifest);

  Overwrite("rows.bin", "");
  auto reader = ExampleReader::Open(directory());
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->Get(Split::kTrain, 0).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ((*reader)->VerifyDigest().code(), absl::StatusCode::kDataLoss);
  Overwrite("rows.bin", rows);
  ASSERT_TRUE(Files::Posix().Remove(Path("manifest.json")).ok());
  EXPECT_EQ(open_code(), absl::StatusCode::kNotFound);
}

// Every byte of both files is changed in turn: reading must answer with a row or DATA_LOSS, and never touch memory
// outside (ASan watches).
TEST_F(ExampleTest, NoByteCanBreakTheReader) {
  WriteSmall();
  for (const char* name : {"rows.bin", "index.bin"}) {
    const std::string good = *ReadFile(Path(name));
    for (size_t i = 0; i < good.size(); ++i) {
      for (char change : {'\x01', '\xff'}) {
        std::string bad = good;
        bad[i] ^= change;
        Overwrite(name, bad);
        auto reader = ExampleReader::Open(directory());
        ASSERT_TRUE(reader.ok());
        EXPECT_EQ((*reader)->VerifyDigest().code(), absl::StatusCode::kDataLoss);
        for (Split split : {Split::kTrain, Split::kValidation}) {
          for (int64_t row = 0; row < (*reader)->size(split); ++row) {
            absl::Status status = (*reader)->Get(split, row).status();
            EXPECT_TRUE(status.ok() || absl::IsDataLoss(status)) << status;
          }
        }
      }
    }
    Overwrite(name, good);
  }
}

TEST(RecordTest, RoundTrip) {
  for (const Example& example : {Example{}, Example{.text = "t", .text_pair = "", .has_text_pair = true},
                                 Example{.text = "t", .value = -1.25, .line = -1},
                                 Example{.text = "a",
                                         .text_pair = "b",
                                         .has_text_pair = true,
                                         .labels = {0, 5, 2147483647},
                                         .file = 9,
                                         .line = int64_t{1} << 40}}) {
    std::string bytes;
    AppendRecord(example, &bytes);
    EXPECT_EQ(static_cast<int64_t>(bytes.size()), RecordBytes(example));
    auto decoded = DecodeRecord(bytes);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded->text, example.text);
    EXPECT_EQ(decoded->text_pair, example.text_pair);
    EXPECT_EQ(decoded->has_text_pair, example.has_text_pair);
    EXPECT_EQ(decoded->labels, example.labels);
    EXPECT_EQ(decoded->value, example.value);
    EXPECT_EQ(decoded->file, example.file);
    EXPECT_EQ(decoded->line, example.line);
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_EQ(DecodeRecord(bytes.substr(0, size)).status().code(), absl::StatusCode::kDataLoss) << size;
    }
    EXPECT_FALSE(DecodeRecord(bytes + "x").ok()) << "trailing bytes";
  }
}

TEST(RecordTest, ImagesComeBackByteForByte) {
  const Example example{
      .image = std::string("\xff\xd8\0\xff", 4), .entry = "train/cat/1.jpg", .labels = {1, 3}, .value = 2, .file = 4};
  std::string bytes;
  AppendRecord(example, &bytes);
  EXPECT_EQ(static_cast<int64_t>(bytes.size()), RecordBytes(example));
  auto decoded = DecodeRecord(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->image, example.image);
  EXPECT_EQ(decoded->entry, example.entry);
  EXPECT_EQ(decoded->text, "");
  EXPECT_EQ(decoded->labels, example.labels);
  EXPECT_EQ(decoded->value, 2);
  EXPECT_TRUE(decoded->image.data() > bytes.data() && decoded->image.data() < bytes.data() + bytes.size()) << "a view";
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(DecodeRecord(bytes.substr(0, size)).ok()) << size;
  EXPECT_FALSE(DecodeRecord(bytes + "x").ok());
  std::string both = bytes;
  both[0] = static_cast<char>(both[0] | 1);  // an image and a second text
  EXPECT_FALSE(DecodeRecord(both).ok());
}

TEST(RecordTest, HostileCountsDoNotAllocate) {
  std::string bytes;
  AppendRecord(Example{.text = "t"}, &bytes);
  for (size_t at : {size_t{13}, size_t{17}}) {  // label count, text length
    std::string bad = bytes;
    bad.replace(at, 4, "\xff\xff\xff\xff");
    EXPECT_EQ(DecodeRecord(bad).status().code(), absl::StatusCode::kDataLoss);
  }
  std::string flags = bytes;
  for (char unknown : {'\x04', '\x08', '\x80'}) {
    flags[0] = unknown;
    EXPECT_FALSE(DecodeRecord(flags).ok());
  }
}

TEST(ManifestTest, RoundTrip) {
  DatasetManifest manifest{.label_kind = LabelKind::kMultiLabel,
                           .labels = {"a \"quoted\"", "größe"},
                           .has_text_pair = true,
                           .filenames = {"x.csv", "y.jsonl.gz"},
                           .rows = {5, 0, int64_t{1} << 40},
                           .digest = std::string(64, 'a')};
  auto read = DatasetManifest::FromJson(manifest.ToJson());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->label_kind, LabelKind::kMultiLabel);
  EXPECT_EQ(read->version, 2);
  EXPECT_EQ(read->modality, Modality::kText);
  EXPECT_EQ(read->labels, manifest.labels);
  EXPECT_TRUE(read->has_text_pair);
  EXPECT_EQ(read->filenames, manifest.filenames);
  EXPECT_EQ(read->rows, manifest.rows);
  EXPECT_EQ(read->digest, manifest.digest);
}

TEST(ManifestTest, DamageNamesTheKey) {
  const std::string good = DatasetManifest{.labels = {"a"}, .filenames = {"f"}}.ToJson();
  struct Case {
    const char* from;
    const char* to;
    const char* named;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"\"version\": 2", "\"version\": \"2\"", "version"},
           {"\"text\"", "\"sound\"", "modality"},
           {"\"text\"", "3", "modality"},
           {"\"modality\"", "\"mode\"", "modality"},
           {"single_label", "no_label", "label_kind"},
           {"\"label_kind\": \"single_label\"", "\"label_kind\": 3", "label_kind"},
           {"\"a\"", "7", "labels"},
           {"\"labels\"", "\"names\"", "labels"},
           {"\"train\": 0", "\"train\": -1", "rows"},
           {"\"train\": 0", "\"train\": 18446744073709551615", "rows"},
           {"\"train\": 0", "\"train\": 1.5", "rows"},
           {"\"rows\"", "\"columns\"", "rows"},
           {"false", "0", "has_text_pair"},
           {"\"f\"", "null", "filenames"},
           {"\"digest\": \"\"", "\"digest\": []", "digest"},
           {"{", "[", "JSON"},
       }) {
    std::string bad = good;
    size_t at = bad.find(c.from);
    ASSERT_NE(at, std::string::npos) << c.from << " in " << good;
    bad.replace(at, std::string(c.from).size(), c.to);
    absl::Status status = DatasetManifest::FromJson(bad).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.named));
  }
  EXPECT_EQ(DatasetManifest::FromJson("{\"version\": 3}").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(DatasetManifest::FromJson("").status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(DatasetManifest::FromJson(std::string(100000, '[')).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace attune::examples
