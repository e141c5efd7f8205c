// Imports, from uploaded bytes to the rows that training reads and the report that people read.
#include <map>
#include <string>
#include <vector>

#include "google/protobuf/util/message_differencer.h"
#include "tests/server/datasets/importing/import_fixture.h"

namespace attune::datasets {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

TEST_F(ImportTest, SingleLabelCsv) {
  auto request = Request("d", "train.csv", "label,text\npos,good\nneg,\"bad,\nvery\"\npos,fine\n");
  request.set_validation_fraction(0);
  const auto dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->name(), "datasets/d");
  EXPECT_EQ(dataset->display_name(), "train.csv");
  EXPECT_EQ(dataset->state(), v1::Dataset::STATE_READY);
  EXPECT_EQ(dataset->error(), "");
  EXPECT_EQ(dataset->label_kind(), v1::LABEL_KIND_SINGLE_LABEL);
  EXPECT_THAT(dataset->labels(), ElementsAre("neg", "pos"));
  EXPECT_FALSE(dataset->has_text_pair());
  EXPECT_EQ(dataset->create_time().seconds(), absl::ToUnixSeconds(clock_.Now()));
  EXPECT_THAT(RowsOf(*dataset, examples::Split::kTrain),
              ElementsAre("good|-|pos|0:2", "bad,\nvery|-|neg|0:3", "fine|-|pos|0:5"));
  const v1::ImportReport& report = dataset->report();
  EXPECT_EQ(report.rows_read(), 3);
  EXPECT_EQ(report.rows_used(), 3);
  EXPECT_THAT(report.issues(), IsEmpty());
  EXPECT_THAT(report.issue_counts(), IsEmpty());
  ASSERT_EQ(report.splits_size(), 3);
  EXPECT_EQ(report.splits(0).split(), v1::SPLIT_TRAIN);
  EXPECT_EQ(report.splits(0).rows(), 3);
  EXPECT_THAT(report.splits(0).label_counts(), UnorderedElementsAre(Pair("pos", 2), Pair("neg", 1)));
  EXPECT_EQ(report.splits(1).rows(), 0);
  EXPECT_EQ(report.lengths().unit(), v1::LengthHistogram::UNIT_WORDS);
  EXPECT_EQ(report.lengths().counts(0), 3);
  EXPECT_EQ(report.lengths().max(), 2);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*store_->Get("datasets/d"), *dataset));
}

TEST_F(ImportTest, SplitsByFileByColumnAndByDraw) {
  auto request = Request("files", "a.csv", "text,label\na,x\nb,y\n");
  AddFile(request, "b.jsonl", "{\"text\": \"c\", \"label\": \"x\"}\n", v1::SPLIT_VALIDATION);
  AddFile(request, "c.tsv", "label\ttext\ny\td\n", v1::SPLIT_TEST);
  auto dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(RowsOf(*dataset, examples::Split::kTrain), ElementsAre("a|-|x|0:2", "b|-|y|0:3"));
  EXPECT_THAT(RowsOf(*dataset, examples::Split::kValidation), ElementsAre("c|-|x|1:1"));
  EXPECT_THAT(RowsOf(*dataset, examples::Split::kTest), ElementsAre("d|-|y|2:2"));

  request = Request("column", "a.csv", "text,label,fold\na,x,train\nb,y,dev\nc,y,training\nd,x,TEST\n");
  request.set_split_column("fold");
  dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(RowsOf(*dataset, examples::Split::kTrain), ElementsAre("a|-|x|0:2", "c|-|y|0:4"));
  EXPECT_THAT(RowsOf(*dataset, examples::Split::kValidation), ElementsAre("b|-|y|0:3"));
  EXPECT_THAT(RowsOf(*dataset, examples::Split::kTest), ElementsAre("d|-|x|0:5"));

  // Absent fraction: a tenth for validation, stratified.
  request = Request("draw", "a.csv", Rows(100));
  dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(dataset->report().splits(0).label_counts(), UnorderedElementsAre(Pair("neg", 45), Pair("pos", 45)));
  EXPECT_THAT(dataset->report().splits(1).label_counts(), UnorderedElementsAre(Pair("neg", 5), Pair("pos", 5)));
  const auto validation = RowsOf(*dataset, examples::Split::kValidation);
  request.set_dataset_id("again");
  EXPECT_EQ(RowsOf(*Import(request), examples::Split::kValidation), validation);
  request.set_dataset_id("other");
  request.set_split_seed(1);
  EXPECT_NE(RowsOf(*Import(request), examples::Split::kValidation), validation);
}

TEST_F(ImportTest, LabelsOfJson) {
  auto request = Request("ints", "a.jsonl",
                         "{\"text\":\"a\",\"label\":10}\n{\"text\":\"b\",\"label\":9}\n{\"text\":\"c\",\"label\":-1}\n{"
                         "\"text\":\"d\",\"label\":\"9\"}\n");
  request.set_validation_fraction(0);
  auto dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(dataset->labels(), ElementsAre("-1", "9", "10"));
  EXPECT_THAT(RowsOf(*dataset, examples::Split::kTrain),
              ElementsAre("a|-|10|0:1", "b|-|9|0:2", "c|-|-1|0:3", "d|-|9|0:4"));

  request = Request("bools", "a.jsonl", "{\"text\":\"a\",\"label\":true}\n{\"text\":\"b\",\"label\":false}\n");
  dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(dataset->labels(), ElementsAre("false", "true"));

  request = Request("lists", "a.jsonl", "{\"text\":\"a\",\"label\":[\"y\",\"x\"]}\n{\"text\":\"b\",\"label\":[]}\n");
  request.set_validation_fraction(0);
  dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->label_kind(), v1::LABEL_KIND_MULTI_LABEL);
  EXPECT_THAT(RowsOf(*dataset, examples::Split::kTrain), ElementsAre("a|-|x+y|0:1", "b|-||0:2"));
  EXPECT_THAT(dataset->report().splits(0).label_counts(), UnorderedElementsAre(Pair("x", 1), Pair("y", 1)));
}

TEST_F(ImportTest, MultiLabelCsvAndRegression) {
  auto request = Request("multi", "a.csv", "text,label\na,x|y\nb,\nc,z\n");
  request.set_label_kind(v1::LABEL_KIND_MULTI_LABEL);
  request.set_validation_fraction(0);
  auto dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(RowsOf(*dataset, examples::Split::kTrain), ElementsAre("a|-|x+y|0:2", "b|-||0:3", "c|-|z|0:4"));

  request =
      Request("numbers", "a.jsonl",
              "{\"text\":\"a\",\"score\":1.5}\n{\"text\":\"b\",\"score\":-2}\n{\"text\":\"c\",\"score\":\"3e2\"}\n");
  request.set_label_kind(v1::LABEL_KIND_REGRESSION);
  request.set_label_column("score");
  request.set_validation_fraction(0);
  dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(dataset->labels(), IsEmpty());
  EXPECT_THAT(RowsOf(*dataset, examples::Split::kTrain), ElementsAre("a|-|1.5|0:1", "b|-|-2|0:2", "c|-|300|0:3"));
}

TEST_F(ImportTest, PairsAndTokenLengths) {
  auto request = Request("pairs", "a.csv", "text,text_pair,label\none two,three,x\nfour,,y\n");
  request.set_validation_fraction(0);
  request.set_tokenizer_model("models/words");
  const auto dataset = Import(request);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_TRUE(dataset->has_text_pair());
  EXPECT_THAT(RowsOf(*dataset, examples::Split::kTrain), ElementsAre("one two|three|x|0:2", "four|-|y|0:3"));
  EXPECT_EQ(dataset->report().lengths().unit(), v1::LengthHistogram::UNIT_TOKENS);
  EXPECT_EQ(dataset->report().lengths().max(), 6);
  EXPECT_EQ(dataset->report().lengths().median(), 3);
}

TEST_F(ImportTest, EqualDataHasAnEqualDigest) {
  const auto request = [&](const std::string& id, const std::string& content) { return Request(id, "a.csv", content); };
  const std::string digest = Import(request("a", Rows(20)))->digest();
  EXPECT_EQ(digest.size(), 64u);
  EXPECT_EQ(Import(request("b", Rows(20)))->digest(), digest);
  EXPECT_NE(Import(request("c", Rows(21)))->digest(), digest);
}

// One file with every kind of fault that a CSV row can have; and what is left when they are tolerated.
constexpr char kFaulty[] =
    "text,label,part\n"
    "good,x,train\n"     // 2
    "caf\xe9,x,train\n"  // 3 NOT_UTF8
    "  ,x,train\n"       // 4 EMPTY_TEXT
    "text,,train\n"      // 5 MISSING_LABEL
    "text,x\n"           // 6 RAGGED_ROW
    "text,x,tarin\n"     // 7 BAD_SPLIT
    "fine,y,train\n"     // 8
    "good,x,test\n"      // 9 duplicate across splits
    "text,z,test\n";     // 10 UNSEEN_LABEL

TEST_F(ImportTest, BadRowsFailTheImportAndAreAllReported) {
  auto request = Request("d", "a.csv", kFaulty + std::string(20000, 'x') + ",x,train\n");
  request.set_split_column("part");
  const v1::Dataset dataset = ImportFails(request,
                                          "7 of 10 rows are bad (1 not_utf8, 1 empty_text, 1 missing_label, 1 "
                                          "ragged_row, 1 unseen_label, 1 row_too_long, 1 bad_split) and "
                                          "max_bad_rows is 0; first: a.csv line 3, column 'text': byte 0xe9");
  std::vector<std::pair<std::string, int64_t>> issues;
  for (const v1::RowIssue& issue : dataset.report().issues()) {
    issues.emplace_back(IssueName(issue.kind()), issue.line());
    EXPECT_EQ(issue.filename(), "a.csv");
    EXPECT_THAT(issue.message(), HasSubstr(":")) << "what is wrong: what to do";
  }
  EXPECT_THAT(issues, ElementsAre(Pair("not_utf8", 3), Pair("empty_text", 4), Pair("missing_label", 5),
                                  Pair("ragged_row", 6), Pair("bad_split", 7), Pair("row_too_long", 11),
                                  Pair("unseen_label", 10), Pair("duplicate_across_splits", 9)));
  EXPECT_EQ(dataset.report().issue_counts().size(), 7u);
  EXPECT_THAT(dataset.report().issues(6).message(), HasSubstr("'z' does not occur in training"));

  request.set_max_bad_rows(6);
  ImportFails(request, "7 of 10 rows are bad");
  for (const int64_t tolerated : {7, 100, -1}) {
    request.set_dataset_id(StrCat("tolerated", tolerated < 0 ? "-any" : StrCat(tolerated)));
    request.set_max_bad_rows(tolerated);
    const auto good = Import(request);
    ASSERT_TRUE(good.ok()) << good.status();
    EXPECT_EQ(good->report().rows_read(), 10);
    EXPECT_EQ(good->report().rows_used(), 3);
    EXPECT_EQ(good->report().issues_size(), 8);
    EXPECT_EQ(good->report().duplicates_across_splits(), 1);
    EXPECT_THAT(RowsOf(*good, examples::Split::kTrain), ElementsAre("good|-|x|0:2", "fine|-|y|0:8"));
    EXPECT_THAT(RowsOf(*good, examples::Split::kTest), ElementsAre("good|-|x|0:9"));
  }
}

TEST_F(ImportTest, OnlyTheFirstHundredIssuesAreListed) {
  std::string csv = Rows(2);
  for (int i = 0; i < 250; ++i) csv += "no label,\n";
  const v1::Dataset dataset = ImportFails(Request("d", "a.csv", csv), "250 of 252 rows are bad (250 missing_label)");
  EXPECT_EQ(dataset.report().issues_size(), 100);
  EXPECT_EQ(dataset.report().issues(99).line(), 103);
  EXPECT_THAT(dataset.report().issue_counts(), ElementsAre(Pair("missing_label", 250)));
}

TEST_F(ImportTest, BadJsonRows) {
  const v1::Dataset dataset =
      ImportFails(Request("d", "h.jsonl", "{\"text\": \"good\", \"label\": \"a\"}\n{\"text\": 3}\n[1]\nnot json\n"),
                  "3 of 4 rows are bad (3 bad_json)");
  EXPECT_EQ(dataset.report().issues(0).column(), "text");
  EXPECT_EQ(dataset.report().issues(0).line(), 2);
}

TEST_F(ImportTest, BAD_NUMBER) {
  auto request = Request("d", "a.csv", "text,label\na,1\nb,nan\nc,x\n");
  request.set_label_kind(v1::LABEL_KIND_REGRESSION);
  const v1::Dataset dataset = ImportFails(request, "2 of 3 rows are bad (2 bad_number)");
  EXPECT_EQ(dataset.report().issues(1).line(), 4);
}

// Faults of a file as a whole.
struct FileCase {
  const char* name;
  std::string filename;
  std::string content;
  std::vector<std::string> says;
};

class ImportFileTest : public ImportTest, public testing::WithParamInterface<FileCase> {};

TEST_P(ImportFileTest, IsRefused) {
  auto request = Request("d", GetParam().filename, GetParam().content);
  const v1::Dataset dataset = ImportFails(request, GetParam().says[0]);
  for (const std::string& word : GetParam().says) EXPECT_THAT(dataset.error(), HasSubstr(word));
}

std::string ManyLabels() {
  std::string csv = "text,label\n";
  for (int i = 0; i < 10002; ++i) StrAppend(&csv, "t,", i, "\n");
  return csv;
}

INSTANTIATE_TEST_SUITE_P(
    Files, ImportFileTest,
    testing::Values(
        FileCase{"empty_csv", "d.csv", "", {"file 'd.csv' is empty"}},
        FileCase{"empty_jsonl", "d.jsonl", "", {"file 'd.jsonl' has no rows"}},
        FileCase{
            "header_only", "e.csv", "text,label\n", {"file 'e.csv' has no rows", "upload a file with at least one"}},
        FileCase{"missing_column",
                 "a.csv",
                 "sentiment,confidence,text\nx,1,a\n",
                 {"has no column 'label'", "'sentiment', 'confidence', 'text'", "Set label_column"}},
        FileCase{"misspelt_column", "a.csv", "text,lable\na,x\n", {"Did you mean 'lable'?"}},
        FileCase{"one_class", "a.csv", "text,label\na,x\nb,x\n", {"the same label, 'x'", "at least two classes"}},
        FileCase{"no_labels_at_all",
                 "a.jsonl",
                 "{\"text\":\"a\",\"label\":[]}\n",
                 {"no row has a label", "set label_column"}},
        FileCase{"labels_that_are_no_classes",
                 "a.csv",
                 ManyLabels(),
                 {"a.csv line 10002: there are more than 10000 different labels", "set label_column"}},
        FileCase{"text_as_label",
                 "a.csv",
                 "text,label\na," + std::string(2000, 'x') + "\n",
                 {"a.csv line 2: the label 'xxx", "set label_column"}},
        FileCase{"cut_gzip", "a.csv.gz", "\x1f\x8b\x08", {"file 'a.csv.gz' is cut short"}},
        FileCase{
            "bad_zstd", "a.csv.zst", "\x28\xb5\x2f\xfdgarbage that is long enough", {"file 'a.csv.zst' is corrupt"}},
        FileCase{"not_gzip", "a.csv.gz", "text,label\n", {"not a gzip file"}}),
    [](const testing::TestParamInfo<FileCase>& info) { return info.param.name; });

TEST_F(ImportTest, MissingColumnNamesTheRequestField) {
  const absl::Status status = Import(Request("d", "a.csv", "text,lable\na,x\n")).status();
  EXPECT_THAT(std::string(status.GetPayload("google.rpc.BadRequest").value_or(absl::Cord())),
              HasSubstr("label_column"));
}

TEST_F(ImportTest, AllTrainingRowsBadOrElsewhere) {
  auto request = Request("d", "a.csv", "text,label\na,\n");
  request.set_max_bad_rows(-1);
  ImportFails(request, "no usable row is in training (1 rows read, 1 bad)");
  request = Request("e", "a.csv", "");
  request.clear_files();
  AddFile(request, "test.csv", Rows(4), v1::SPLIT_TEST);
  request.set_max_bad_rows(-1);
  ImportFails(request, "no usable row is in training");
}

TEST_F(ImportTest, RowsAreBoundedSinceEachTakesMemory) {
  auto request = Request("d", "a.csv", Rows(10000));
  AddFile(request, "b.csv", Rows(10001, "more"));
  ImportFails(request, "the files have more than 20000 rows: import them as several datasets");
}

TEST_F(ImportTest, ProgressReachesTheEnd) {
  auto request = Request("d", "a.csv", Rows(10000));
  AddFile(request, "b.csv", Rows(5000, "more"));
  std::vector<std::pair<int64_t, double>> calls;
  ASSERT_TRUE(store_->Import(request, [&](int64_t rows, double fraction) { calls.emplace_back(rows, fraction); }).ok());
  ASSERT_GE(calls.size(), 4u);
  for (size_t i = 1; i < calls.size(); ++i) {
    EXPECT_GE(calls[i].first, calls[i - 1].first);
    EXPECT_GE(calls[i].second, calls[i - 1].second);
  }
  EXPECT_EQ(calls.back(), (std::pair<int64_t, double>(15000, 1.0)));
}

}  // namespace
}  // namespace attune::datasets
