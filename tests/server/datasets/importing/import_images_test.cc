// Imports of images: archives, manifests and IDX files, from uploaded bytes to rows and report.
#include <map>
#include <string>
#include <vector>

#include "server/images/decode.h"
#include "tests/server/datasets/images/archive_files.h"
#include "tests/server/datasets/importing/import_fixture.h"

namespace attune::datasets {
namespace {

using examples::Split;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// Different images for different numbers.
std::string Image(int number) { return Pgm(8 + number % 50, 8 + number / 50, number); }

class ImportImagesTest : public ImportTest {
 protected:
  // `count` images for each of two classes, below `folder`.
  static std::vector<MadeEntry> Classes(int count, const std::string& folder = "", int first = 0) {
    std::vector<MadeEntry> entries;
    for (const char* name : {"cat", "dog"}) {
      for (int i = 0; i < count; ++i) entries.push_back({StrCat(folder, name, "/", i, ".pgm"), Image(first++)});
    }
    return entries;
  }
  static std::vector<MadeEntry> With(std::vector<MadeEntry> entries, const std::vector<MadeEntry>& more) {
    entries.insert(entries.end(), more.begin(), more.end());
    return entries;
  }
  // "kind entry" of every issue.
  static std::vector<std::string> Issues(const v1::Dataset& dataset) {
    std::vector<std::string> issues;
    for (const v1::RowIssue& issue : dataset.report().issues()) {
      issues.push_back(
          StrCat(IssueName(issue.kind()), " ", issue.entry(), issue.line() > 0 ? StrCat(" line ", issue.line()) : ""));
      EXPECT_THAT(issue.message(), HasSubstr(":")) << "what is wrong: what to do";
    }
    return issues;
  }
  // Imports a tar without a draw, tolerating every fault.
  absl::StatusOr<v1::Dataset> ImportTar(const std::vector<MadeEntry>& entries, const std::string& id = "d") {
    auto request = Request(id, "photos.tar", MakeTar(entries));
    request.set_validation_fraction(0);
    request.set_max_bad_rows(-1);
    return Import(request);
  }
};

TEST_F(ImportImagesTest, FoldersOfSplitsAndClasses) {
  const std::vector<MadeEntry> entries = {{"photos/", "", AE_IFDIR},
                                          {"photos/LICENSE", "CC0"},
                                          {"photos/train/cat/a.pgm", Image(1)},
                                          {"photos/train/dog/b.png", Png(30, 20, 1)},
                                          {"photos/train/.DS_Store", "x"},
                                          {"__MACOSX/train/cat/._a.pgm", "x"},
                                          {"photos/val/dog/c.pgm", Image(2)},
                                          {"photos/test/cat/d.pgm", Image(3)},
                                          {"photos/train/cat/Thumbs.db", "x"}};
  for (const auto& [filename, content] :
       {std::pair("photos.tar", MakeTar(entries)), std::pair("photos.tgz", MakeTarGz(entries)),
        std::pair("photos.zip", MakeZip(entries))}) {
    const auto dataset = Import(Request(StrCat("d", uploads_), filename, content));
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    EXPECT_EQ(dataset->modality(), "image");
    EXPECT_EQ(dataset->label_kind(), v1::LABEL_KIND_SINGLE_LABEL);
    EXPECT_THAT(dataset->labels(), ElementsAre("cat", "dog"));
    EXPECT_THAT(RowsOf(*dataset, Split::kTrain),
                ElementsAre("photos/train/cat/a.pgm|cat|0", "photos/train/dog/b.png|dog|0"));
    EXPECT_THAT(RowsOf(*dataset, Split::kValidation), ElementsAre("photos/val/dog/c.pgm|dog|0"));
    EXPECT_THAT(RowsOf(*dataset, Split::kTest), ElementsAre("photos/test/cat/d.pgm|cat|0"));
    EXPECT_THAT(Issues(*dataset), IsEmpty());
    const v1::ImportReport& report = dataset->report();
    EXPECT_EQ(report.rows_read(), 4);
    EXPECT_EQ(report.rows_used(), 4);
    EXPECT_FALSE(report.has_lengths());
    EXPECT_EQ(report.images().other_files(), 1);
    EXPECT_EQ(report.images().min_width(), 9);
    EXPECT_EQ(report.images().median_width(), 10);
    EXPECT_EQ(report.images().max_width(), 30);
    EXPECT_EQ(report.images().max_height(), 20);
    EXPECT_THAT(report.images().format_counts(), UnorderedElementsAre(Pair("pnm", 3), Pair("png", 1)));
    EXPECT_EQ(report.images().total_bytes(),
              static_cast<int64_t>(Image(1).size() + Image(2).size() + Image(3).size() + Png(30, 20, 1).size()));
    // The bytes come through as they were.
    auto reader = examples::ExampleReader::Open(*store_->Directory(dataset->name()));
    EXPECT_EQ((*reader)->View(Split::kTrain, 1)->image, Png(30, 20, 1));
    EXPECT_TRUE((*reader)->VerifyDigest().ok());
  }
}

TEST_F(ImportImagesTest, ClassFoldersAreDrawnFromStratified) {
  auto request = Request("d", "photos.tar", MakeTar(Classes(50)));
  request.set_validation_fraction(0.1);
  request.set_test_fraction(0.2);
  const auto dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  for (int split = 0; split < 3; ++split) {
    const int64_t each = std::vector<int64_t>{35, 5, 10}[static_cast<size_t>(split)];
    EXPECT_THAT(dataset->report().splits(split).label_counts(),
                UnorderedElementsAre(Pair("cat", each), Pair("dog", each)));
  }
  const auto drawn = RowsOf(*dataset, Split::kValidation);
  request.set_dataset_id("again");
  EXPECT_EQ(RowsOf(*Import(request), Split::kValidation), drawn);
  EXPECT_EQ(store_->Get("datasets/again")->digest(), dataset->digest());
}

TEST_F(ImportImagesTest, AnArchiveForEachSplit) {
  auto request = Request("d", "x.tar", "");
  request.clear_files();
  AddFile(request, "a.tar", MakeTar(Classes(2)), v1::SPLIT_TRAIN);
  AddFile(request, "b.zip", MakeZip(Classes(1, "train/", 100)), v1::SPLIT_TEST);  // the file's split counts
  request.set_validation_fraction(0);
  const auto dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(RowsOf(*dataset, Split::kTrain).size(), 4u);
  EXPECT_THAT(RowsOf(*dataset, Split::kTest), ElementsAre("train/cat/0.pgm|cat|1", "train/dog/0.pgm|dog|1"));
}

TEST_F(ImportImagesTest, ManifestsInTheArchive) {
  auto dataset = ImportTar({{"train/1.pgm", Image(1)},
                            {"train/sub/2.pgm", Image(2)},
                            {"train/metadata.csv", "file_name,label,note\n1.pgm,cat,x\nsub/2.pgm,dog,y\n"},
                            {"test/3.pgm", Image(3)},
                            {"test/metadata.jsonl", "{\"file_name\": \"3.pgm\", \"label\": \"cat\"}\n"}});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(RowsOf(*dataset, Split::kTrain), ElementsAre("train/1.pgm|cat|0", "train/sub/2.pgm|dog|0"));
  EXPECT_THAT(RowsOf(*dataset, Split::kTest), ElementsAre("test/3.pgm|cat|0"));

  // Several labels, a split column, paths from the root, and the manifest before its images.
  dataset = ImportTar({{"x/manifest.jsonl",
                        "{\"file_name\":\"i/1.pgm\",\"label\":[\"b\",\"a\"],\"split\":\"train\"}\n"
                        "{\"file_name\":\"./i/2.pgm\",\"label\":[],\"split\":\"test\"}\n"},
                       {"x/i/1.pgm", Image(1)},
                       {"x/i/2.pgm", Image(2)}},
                      "multi");
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->label_kind(), v1::LABEL_KIND_MULTI_LABEL);
  EXPECT_THAT(RowsOf(*dataset, Split::kTrain), ElementsAre("x/i/1.pgm|a+b|0"));
  EXPECT_THAT(RowsOf(*dataset, Split::kTest), ElementsAre("x/i/2.pgm||0"));
}

TEST_F(ImportImagesTest, AManifestOfItsOwn) {
  auto request =
      Request("d", "photos.tar",
              MakeTar({{"outer/a/1.pgm", Image(1)}, {"outer/a/2.pgm", Image(2)}, {"outer/b/3.pgm", Image(3)}}));
  AddFile(request, "scores.csv", "path,score,fold\na/1.pgm,1.5,train\nouter/a/2.pgm,-2,train\nb/3.pgm,3,dev\n");
  request.set_label_kind(v1::LABEL_KIND_REGRESSION);
  request.set_image_column("path");
  request.set_label_column("score");
  request.set_split_column("fold");
  const auto dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->label_kind(), v1::LABEL_KIND_REGRESSION);
  EXPECT_THAT(RowsOf(*dataset, Split::kTrain), ElementsAre("outer/a/1.pgm|1.5|0", "outer/a/2.pgm|-2|0"));
  EXPECT_THAT(RowsOf(*dataset, Split::kValidation), ElementsAre("outer/b/3.pgm|3|0"));
}

TEST_F(ImportImagesTest, FaultsOfManifests) {
  const auto dataset = ImportTar({{"1.pgm", Image(1)},
                                  {"2.pgm", Image(2)},
                                  {"3.pgm", Image(3)},
                                  {"4.pgm", Image(4)},
                                  {"bad.pgm", "not an image"},
                                  {"labels.csv",
                                   "file_name,label\n1.pgm,cat\n2.pgm,dog\n1.pgm,dog\n3.pgm,\ngone.pgm,cat\n,cat\n"
                                   "../1.pgm,cat\nbad.pgm,cat\n"}});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(Issues(*dataset), ElementsAre("unreadable_image bad.pgm", "duplicate_entry labels.csv line 4",
                                            "missing_label labels.csv line 5", "missing_image labels.csv line 6",
                                            "missing_image labels.csv line 7", "missing_image labels.csv line 8",
                                            "not_in_manifest 3.pgm", "not_in_manifest 4.pgm"));
  EXPECT_THAT(dataset->report().issues(3).message(), HasSubstr("for example '1.pgm'"));
  EXPECT_THAT(RowsOf(*dataset, Split::kTrain), ElementsAre("1.pgm|cat|0", "2.pgm|dog|0"));
  EXPECT_EQ(dataset->report().rows_read() - dataset->report().rows_used(), 8);

  ImportFails(Request("no-column", "a.tar", MakeTar({{"1.pgm", Image(1)}, {"labels.csv", "image,label\n1.pgm,x\n"}})),
              "Set image_column to the column");
}

TEST_F(ImportImagesTest, HostileEntriesAreLeftOutByName) {
  const auto entries = With(Classes(2), {{"cat/../../etc/x.pgm", Image(10)},
                                         {"/etc/passwd", "root"},
                                         {"cat/link.pgm", "", AE_IFLNK, "/etc/passwd"},
                                         {"cat/hard.pgm", "", AE_IFREG, "cat/0.pgm"},
                                         {"cat/device.pgm", "", AE_IFCHR},
                                         {"cat/inner.zip", MakeZip({})},
                                         {"caf\xe9/1.pgm", Image(11)},
                                         {"dog/0.pgm", Image(12)}});
  const auto dataset = ImportTar(entries);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(Issues(*dataset),
              ElementsAre("unsafe_entry cat/../../etc/x.pgm", "unsafe_entry /etc/passwd", "unsafe_entry cat/link.pgm",
                          "unsafe_entry cat/hard.pgm", "unsafe_entry cat/device.pgm", "nested_archive cat/inner.zip",
                          "not_utf8 caf\\xe9/1.pgm", "duplicate_entry dog/0.pgm"));
  EXPECT_EQ(dataset->report().rows_used(), 4);
  EXPECT_EQ(dataset->report().rows_read(), 12);
  EXPECT_THAT(OnDisk(), ElementsAre("d"));
  EXPECT_THAT(*ListDirectory(root() + "/d"), ElementsAre("index.bin", "manifest.json", "rows.bin"));

  const v1::Dataset failed = ImportFails(Request("strict", "photos.tar", MakeTar(entries)),
                                         "8 of 12 rows are bad (1 not_utf8, 5 unsafe_entry, 1 duplicate_entry, 1 "
                                         "nested_archive) and max_bad_rows is 0; first: photos.tar: "
                                         "cat/../../etc/x.pgm: the name leads out of the archive");
  EXPECT_EQ(failed.report().issues_size(), 8);
}

TEST_F(ImportImagesTest, BadImagesAreReportedByName) {
  const std::string png = Png(60, 40, 1);
  const auto dataset = ImportTar(With(Classes(100), {{"cat/cut.png", png.substr(0, png.size() / 2)},
                                                     {"cat/page.jpg", "<html>404</html>"},
                                                     {"cat/animation.gif", "GIF89a"},
                                                     {"cat/empty.png", ""},
                                                     {"dog/tiny.pgm", Pgm(7, 7, 1)},
                                                     {"dog/huge.png", PngHeader(30'000, 30'000)},
                                                     {"dog/notes.txt", "no image, and not meant as one"},
                                                     {"dog/really-a-png.jpg", png},
                                                     {"dog/no-ending", Png(50, 50, 2)}}));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(Issues(*dataset), ElementsAre("unreadable_image cat/cut.png", "unreadable_image cat/page.jpg",
                                            "unreadable_image cat/animation.gif", "unreadable_image cat/empty.png",
                                            "image_too_small dog/tiny.pgm", "image_too_large dog/huge.png",
                                            "wrong_extension dog/really-a-png.jpg", "wrong_extension dog/no-ending"));
  EXPECT_EQ(dataset->report().rows_used(), 202);
  EXPECT_EQ(dataset->report().images().wrong_extensions(), 2);
  EXPECT_EQ(dataset->report().images().other_files(), 1);
  EXPECT_THAT(
      dataset->report().issue_counts(),
      UnorderedElementsAre(Pair("unreadable_image", 4), Pair("image_too_small", 1), Pair("image_too_large", 1)));
  // One bad image in a good archive fails the import unless one is tolerated.
  auto request = Request("one", "photos.tar", MakeTar(With(Classes(100), {{"cat/cut.png", png.substr(0, 60)}})));
  ImportFails(request,
              "1 of 201 rows is bad (1 unreadable_image) and max_bad_rows is 0; first: photos.tar: cat/cut.png");
  request.set_max_bad_rows(1);
  EXPECT_TRUE(Import(request).ok());
}

TEST_F(ImportImagesTest, RepeatedImages) {
  const auto dataset = ImportTar({{"train/cat/1.pgm", Image(1)},
                                  {"train/cat/2.pgm", Image(2)},
                                  {"train/cat/again.pgm", Image(2)},
                                  {"train/dog/3.pgm", Image(3)},
                                  {"train/dog/of-a-cat.pgm", Image(1)},
                                  {"test/cat/4.pgm", Image(2)}});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(Issues(*dataset),
              ElementsAre("conflicting_labels train/dog/of-a-cat.pgm", "duplicate_across_splits test/cat/4.pgm"));
  EXPECT_THAT(dataset->report().issues(0).message(), HasSubstr("'dog' here and 'cat' as 'train/cat/1.pgm'"));
  EXPECT_THAT(dataset->report().issues(1).message(), HasSubstr("as 'train/cat/2.pgm'"));
  EXPECT_EQ(dataset->report().rows_used(), 6);
  EXPECT_EQ(dataset->report().duplicates_across_splits(), 1);
  EXPECT_EQ(dataset->report().duplicates_within_split(), 2);
  EXPECT_EQ(dataset->report().images().conflicting_labels(), 1);
}

TEST_F(ImportImagesTest, FoldersThatSayNothing) {
  auto dataset = ImportTar(With(Classes(1), {{"stray.pgm", Image(20)}, {"bird/", "", AE_IFDIR}}));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(Issues(*dataset), ElementsAre("missing_label stray.pgm", "empty_class bird/"));

  dataset = ImportTar(With(Classes(1, "train/"), {{"extra/1.pgm", Image(20)},
                                                  {"train/cat/", "", AE_IFDIR},
                                                  {"test/bird/2.pgm", Image(21)},
                                                  {"test/fish/", "", AE_IFDIR},
                                                  {"test/dog/", "", AE_IFDIR}}),
                      "splits");
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(Issues(*dataset),
              ElementsAre("missing_label extra/1.pgm", "unseen_label test/bird/2.pgm", "empty_class test/fish/"));
}

// Faults of a file as a whole, or of the request.
TEST_F(ImportImagesTest, WhatCannotBeADataset) {
  ImportFails(Request("text", "a.tar", "text,label\n"), "file 'a.tar' is not a tar archive");
  ImportFails(Request("cut", "a.tar", MakeTar(Classes(20)).substr(0, 5000)), "file 'a.tar' is cut short");
  ImportFails(Request("empty", "a.tar", MakeTar({})), "file 'a.tar' has no images");
  ImportFails(Request("csv", "a.tar", MakeTar({{"train.csv", "text,label\na,b\n"}})), "has no images");
  ImportFails(Request("one", "a.tar", MakeTar({{"cat/1.pgm", Image(1)}, {"cat/2.pgm", Image(2)}})),
              "the same label, 'cat', and a classifier needs at least two classes: give each class a folder");
  auto request = Request("test-only", "a.tar", MakeTar(Classes(1, "test/")));
  request.set_max_bad_rows(-1);
  ImportFails(request, "no usable row is in training");
  request = Request("bomb", "a.zip", MakeZip({{"cat/1.png", std::string(size_t{11} << 20, '\0')}}));
  ImportFails(request, "unpacks to more than 10485760 bytes");
  request = Request("multi", "a.tar", MakeTar(Classes(1)));
  request.set_label_kind(v1::LABEL_KIND_MULTI_LABEL);
  ImportFails(request, "folders give each image one class");
}

TEST_F(ImportImagesTest, RequestsAreCheckedFieldByField) {
  const auto refused = [&](const v1::ImportDatasetRequest& request, const std::string& field) {
    const absl::Status status = Import(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_THAT(std::string(status.GetPayload("google.rpc.BadRequest").value_or(absl::Cord())), HasSubstr(field));
    EXPECT_EQ(store_->Get("datasets/" + request.dataset_id()).status().code(), absl::StatusCode::kNotFound);
  };
  const auto images = Request("images", "a.tar", MakeTar(Classes(1)));
  const auto texts = Request("texts", "a.csv", Rows(4));
  auto request = images;
  request.set_text_column("x");
  refused(request, "text_column");
  request = images;
  request.set_text_pair_column("x");
  refused(request, "text_pair_column");
  request = images;
  request.set_tokenizer_model("models/words");
  refused(request, "tokenizer_model");
  request = images;
  request.add_class_names("cat");
  refused(request, "class_names");
  request = images;
  request.set_image_column("label");
  refused(request, "label_column");
  request = texts;
  request.set_image_column("x");
  refused(request, "image_column");
  request = texts;
  request.add_class_names("cat");
  refused(request, "class_names");
  request = Request("manifest", "train-images-idx3-ubyte", "");
  AddFile(request, "manifest.csv", "file_name,label\n");
  refused(request, "files");
}

class ImportIdxTest : public ImportImagesTest {
 protected:
  static std::string Images(int count, int first = 0) {
    std::string bytes = IdxHeader({0x803, static_cast<uint32_t>(count), 8, 8});
    for (int i = 0; i < count; ++i) bytes += Pgm(8, 8, first + i).substr(11);
    return bytes;
  }
  static std::string Labels(const std::string& labels) {
    return IdxHeader({0x801, static_cast<uint32_t>(labels.size())}) + labels;
  }
};

TEST_F(ImportIdxTest, TrainAndTest) {
  auto request = Request("d", "train-images-idx3-ubyte.gz", Gzip(Images(3)));
  AddFile(request, "train-labels-idx1-ubyte.gz", Gzip(Labels(std::string("\x02\x00\x0a", 3))));
  AddFile(request, "t10k-images-idx3-ubyte", Images(1, 50));
  AddFile(request, "t10k-labels-idx1-ubyte", Labels("\x02"));
  request.set_validation_fraction(0);
  auto dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->modality(), "image");
  EXPECT_THAT(dataset->labels(), ElementsAre("0", "2", "10"));
  EXPECT_THAT(RowsOf(*dataset, Split::kTrain), ElementsAre("image 0|2|0", "image 1|0|0", "image 2|10|0"));
  EXPECT_THAT(RowsOf(*dataset, Split::kTest), ElementsAre("image 0|2|2"));
  EXPECT_EQ(dataset->report().images().median_width(), 8);
  auto reader = examples::ExampleReader::Open(*store_->Directory(dataset->name()));
  EXPECT_EQ((*reader)->View(Split::kTrain, 1)->image, Pgm(8, 8, 1));

  request.set_dataset_id("named");
  for (const char* name : {"shirt", "b", "bag", "d", "e", "f", "g", "h", "i", "j", "hat"})
    request.add_class_names(name);
  dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(dataset->labels(), ElementsAre("bag", "hat", "shirt"));
  request.set_dataset_id("few-names");
  request.clear_class_names();
  request.add_class_names("shirt");
  ImportFails(request, "class_names has 1 names, and image 0 of train-images-idx3-ubyte.gz has the label 2");
}

TEST_F(ImportIdxTest, PairsMustBeComplete) {
  ImportFails(Request("images", "train-images-idx3-ubyte", Images(2)),
              "has no labels: upload 'train-labels-idx1-ubyte'");
  ImportFails(Request("labels", "train-labels-idx1-ubyte", Labels("ab")), "has labels without images");
  auto request = Request("splits", "x-images-idx3-ubyte", Images(2));
  request.clear_files();
  AddFile(request, "x-images-idx3-ubyte", Images(2), v1::SPLIT_TRAIN);
  AddFile(request, "x-labels-idx1-ubyte", Labels("ab"), v1::SPLIT_TEST);
  ImportFails(request, "are given different splits");
}

TEST_F(ImportImagesTest, Preview) {
  const auto dataset = ImportTar({{"cat/1.png", Png(300, 200, 1)}, {"dog/2.pgm", Image(1)}});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  v1::PreviewRowsRequest request;
  request.set_name(dataset->name());
  auto preview = store_->Preview(request);
  ASSERT_TRUE(preview.ok()) << preview.status();
  ASSERT_EQ(preview->rows_size(), 2);
  EXPECT_EQ(preview->rows(0).entry(), "cat/1.png");
  EXPECT_EQ(preview->rows(0).filename(), "photos.tar");
  EXPECT_EQ(preview->rows(0).width(), 300);
  EXPECT_EQ(preview->rows(0).height(), 200);
  EXPECT_THAT(preview->rows(0).labels(), ElementsAre("cat"));
  EXPECT_EQ(preview->rows(0).thumbnail(), "");
  EXPECT_FALSE(preview->rows(0).has_input());
  request.set_thumbnail_pixels(30);
  preview = store_->Preview(request);
  ASSERT_TRUE(preview.ok()) << preview.status();
  const auto thumbnail = images::Decode(preview->rows(0).thumbnail(), {});
  ASSERT_TRUE(thumbnail.ok()) << thumbnail.status();
  EXPECT_EQ(thumbnail->width, 30);
  EXPECT_EQ(thumbnail->height, 20);

  for (const int pixels : {-1, 257}) {
    request.set_thumbnail_pixels(pixels);
    EXPECT_EQ(store_->Preview(request).status().code(), absl::StatusCode::kInvalidArgument);
  }
  request.set_thumbnail_pixels(0);
  request.set_tokenizer_model("models/words");
  EXPECT_THAT(std::string(store_->Preview(request).status().message()), HasSubstr("holds images"));
}

TEST_F(ImportImagesTest, ProgressAndAFullDisk) {
  const auto request = Request("d", "photos.tar", MakeTar(Classes(300)));
  std::vector<std::pair<int64_t, double>> calls;
  ASSERT_TRUE(store_->Import(request, [&](int64_t rows, double fraction) { calls.emplace_back(rows, fraction); }).ok());
  ASSERT_GE(calls.size(), 5u);
  for (size_t i = 1; i < calls.size(); ++i) {
    EXPECT_GE(calls[i].first, calls[i - 1].first);
    EXPECT_GE(calls[i].second, calls[i - 1].second);
  }
  EXPECT_EQ(calls.back(), (std::pair<int64_t, double>(600, 1.0)));
  auto again = request;
  again.set_dataset_id("full");
  files_.LimitBytes(20'000);
  EXPECT_EQ(Import(again).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(OnDisk(), ElementsAre("d"));
}

}  // namespace
}  // namespace attune::datasets
