// Life of datasets: names, idempotency, lists, deletion, crashes and failing disks.
#include "server/datasets/dataset_store.h"

#include <atomic>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "google/protobuf/util/message_differencer.h"
#include "tests/server/datasets/store_fixture.h"

namespace attune::datasets {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Lt;

class DatasetStoreTest : public StoreTest {
 protected:
  static std::string Message(const absl::Status& status) { return std::string(status.message()); }

  std::vector<std::string> Names() {
    std::vector<std::string> names;
    std::string token;
    do {
      const auto page = store_->List(ProjectSet::All(), 2, token);
      EXPECT_TRUE(page.ok()) << page.status();
      for (const v1::Dataset& dataset : page->datasets()) names.push_back(dataset.name());
      token = page->next_page_token();
    } while (!token.empty());
    return names;
  }
};

TEST_F(DatasetStoreTest, AsksWhatAProjectMayStore) {
  std::vector<std::pair<std::string, int64_t>> asked;
  int64_t most = 1000;
  store_->SetStorageCheck([&](const std::string& project, int64_t added) {
    asked.emplace_back(project, added);
    return added <= most ? absl::OkStatus() : absl::ResourceExhaustedError("over its quota");
  });
  v1::ImportDatasetRequest request = Request("small", "a.csv", "text,label\ngood,a\nbad,b\nfine,a\npoor,b\n");
  request.set_project("team-a");
  request.set_request_id("r");
  ASSERT_TRUE(store_->Import(request, nullptr).ok());
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0], std::pair(std::string("team-a"), int64_t{1}));
  EXPECT_EQ(asked[1].first, "team-a");
  EXPECT_GT(asked[1].second, 100);

  most = 0;  // nothing more fits, and what is there is still the answer
  EXPECT_TRUE(store_->Import(request, nullptr).ok());

  most = asked[1].second - 1;  // it only turns out to be too large
  request.set_dataset_id("large");
  request.set_request_id("s");
  EXPECT_EQ(store_->Import(request, nullptr).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(OnDisk(), testing::ElementsAre("small"));
  EXPECT_EQ(store_->Get("datasets/large").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(DatasetStoreTest, ChoosesANameWhenNoneIsGiven) {
  const auto a = Import(Request("", "a.csv", Rows(4)));
  const auto b = Import(Request("", "a.csv", Rows(4)));
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_NE(a->name(), b->name());
  EXPECT_TRUE(store_->Get(a->name()).ok());
}

TEST_F(DatasetStoreTest, NamesThatAreTakenOrBadAreRefused) {
  ASSERT_TRUE(Import(Request("d", "a.csv", Rows(4))).ok());
  const absl::Status taken = Import(Request("d", "a.csv", Rows(4))).status();
  EXPECT_EQ(taken.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(Message(taken), HasSubstr("datasets/d exists"));
  for (const char* bad : {"D", "1a", "a_b", "../etc", "a/b", ".import-d"}) {
    const absl::Status status = Import(Request(bad, "a.csv", Rows(4))).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(Message(status), HasSubstr("dataset_id"));
  }
  EXPECT_THAT(OnDisk(), ElementsAre("d"));
}

TEST_F(DatasetStoreTest, BadRequestsLeaveNothing) {
  const auto refused = [&](v1::ImportDatasetRequest request, absl::StatusCode code, const std::string& says) {
    const absl::Status status = Import(request).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(Message(status), HasSubstr(says));
  };
  const v1::ImportDatasetRequest good = Request("d", "a.csv", Rows(4));
  v1::ImportDatasetRequest request = good;
  request.clear_files();
  refused(request, absl::StatusCode::kInvalidArgument, "files is empty");
  request = good;
  *request.add_files() = good.files(0);
  refused(request, absl::StatusCode::kInvalidArgument, "files[1].upload uploads/u1 is there twice");
  request = good;
  request.mutable_files(0)->set_upload("u1");
  refused(request, absl::StatusCode::kInvalidArgument, "files[0].upload");
  request.mutable_files(0)->set_upload("uploads/none");
  refused(request, absl::StatusCode::kNotFound, "uploads/none");
  artifacts_.Put("half", "a.csv", "text", /*complete=*/false);
  request.mutable_files(0)->set_upload("uploads/half");
  refused(request, absl::StatusCode::kFailedPrecondition, "4 of 5 bytes");
  request = good;
  request.set_validation_fraction(0.95);
  refused(request, absl::StatusCode::kInvalidArgument, "validation_fraction is 0.95");
  request.set_validation_fraction(std::numeric_limits<double>::quiet_NaN());
  refused(request, absl::StatusCode::kInvalidArgument, "validation_fraction");
  request.set_validation_fraction(0.5);
  request.set_test_fraction(0.5);
  refused(request, absl::StatusCode::kInvalidArgument, "leave less than a tenth");
  request = good;
  request.set_max_bad_rows(-2);
  refused(request, absl::StatusCode::kInvalidArgument, "max_bad_rows is -2");
  request = good;
  request.set_label_column("text");
  refused(request, absl::StatusCode::kInvalidArgument, "label_column 'text' is also another column");
  request = good;
  request.set_tokenizer_model("models/none");
  refused(request, absl::StatusCode::kNotFound, "models/none");
  refused(Request("d", "a.parquet", "PAR1"), absl::StatusCode::kInvalidArgument, "'a.parquet' does not say its format");
  request = Request("d", "rows", Rows(4));
  request.set_format(v1::FILE_FORMAT_CSV);
  EXPECT_TRUE(Import(request).ok());
  EXPECT_THAT(Names(), ElementsAre("datasets/d"));
}

TEST_F(DatasetStoreTest, RequestIdGivesTheFirstAnswer) {
  auto request = Request("", "a.csv", Rows(4));
  request.set_request_id("r1");
  const auto first = Import(request);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(artifacts_.DeleteUpload("u1").ok());  // the answer needs no upload
  EXPECT_EQ(Import(request)->name(), first->name());
  EXPECT_EQ(Names().size(), 1u);

  request.set_display_name("other");
  const absl::Status status = Import(request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(Message(status), HasSubstr("request_id: was used for another import"));
}

TEST_F(DatasetStoreTest, RequestIdOfAFailedImportGivesTheSameError) {
  auto request = Request("d", "a.csv", "text,label\na,\n");
  request.set_request_id("r1");
  const absl::Status first = Import(request).status();
  const absl::Status again = Import(request).status();
  EXPECT_EQ(first.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(again.code(), first.code());
  EXPECT_EQ(again.message(), first.message());
  EXPECT_EQ(again.GetPayload("attune.v1.Dataset"), first.GetPayload("attune.v1.Dataset"));
}

TEST_F(DatasetStoreTest, AFailedImportMakesRoomForTheNext) {
  ASSERT_FALSE(Import(Request("d", "a.csv", "text,label\na,\n")).ok());
  EXPECT_EQ(store_->Get("datasets/d")->state(), v1::Dataset::STATE_FAILED);
  EXPECT_EQ(store_->Directory("datasets/d").status().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(Import(Request("d", "a.csv", Rows(4))).ok());
  EXPECT_EQ(store_->Get("datasets/d")->state(), v1::Dataset::STATE_READY);
}

TEST_F(DatasetStoreTest, ASecondCallWithTheSameRequestIdWaitsForTheFirst) {
  auto request = Request("d", "a.csv", Rows(20000));
  request.set_request_id("r1");
  absl::Notification started, go;
  std::atomic<bool> first_call = true;
  std::thread first([&] {
    EXPECT_TRUE(store_
                    ->Import(request,
                             [&](int64_t, double) {
                               if (!first_call.exchange(false)) return;
                               started.Notify();
                               go.WaitForNotification();
                             })
                    .ok());
  });
  started.WaitForNotification();
  EXPECT_EQ(store_->Get("datasets/d")->state(), v1::Dataset::STATE_IMPORTING);
  EXPECT_EQ(store_->Directory("datasets/d").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->Delete("datasets/d").code(), absl::StatusCode::kFailedPrecondition);
  // Another import may not take the name; the same request joins, and hears how far it is.
  auto other = request;
  other.clear_request_id();
  EXPECT_EQ(Import(other).status().code(), absl::StatusCode::kAlreadyExists);
  std::atomic<int64_t> heard = 0;
  std::thread second([&] {
    const auto dataset = store_->Import(request, [&](int64_t rows, double) {
      if (go.HasBeenNotified()) return;
      heard = rows;  // the first time: later the import goes on
      go.Notify();
    });
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    EXPECT_EQ(dataset->state(), v1::Dataset::STATE_READY);
  });
  second.join();
  first.join();
  EXPECT_EQ(heard, 4096);
  EXPECT_THAT(Names(), ElementsAre("datasets/d"));
}

TEST_F(DatasetStoreTest, ListsNewestFirstWithoutIssues) {
  for (const char* id : {"a", "b", "c", "d", "e"}) ASSERT_TRUE(Import(Request(id, "a.csv", Rows(4))).ok());
  auto request = Request("f", "a.csv", Rows(4) + "x,\n");
  request.set_max_bad_rows(1);
  ASSERT_EQ(Import(request)->report().issues_size(), 1);
  EXPECT_THAT(Names(), ElementsAre("datasets/f", "datasets/e", "datasets/d", "datasets/c", "datasets/b", "datasets/a"));
  auto page = store_->List(ProjectSet::All(), 0, "");
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->datasets_size(), 6);
  EXPECT_EQ(page->next_page_token(), "");
  EXPECT_EQ(page->datasets(0).report().issues_size(), 0);
  EXPECT_EQ(page->datasets(0).report().rows_used(), 4);
  // A page that is exactly full has no next one.
  EXPECT_EQ(store_->List(ProjectSet::All(), 6, "")->next_page_token(), "");
  EXPECT_EQ(store_->List(ProjectSet::All(), -1, "").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->List(ProjectSet::All(), 5, "garbage").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DatasetStoreTest, PagesHoldWhenDatasetsComeAndGo) {
  for (const char* id : {"a", "b", "c", "d"}) ASSERT_TRUE(Import(Request(id, "a.csv", Rows(4))).ok());
  const auto page = store_->List(ProjectSet::All(), 2, "");
  ASSERT_TRUE(store_->Delete("datasets/c").ok());
  ASSERT_TRUE(Import(Request("e", "a.csv", Rows(4))).ok());
  const auto next = store_->List(ProjectSet::All(), 2, page->next_page_token());
  ASSERT_EQ(next->datasets_size(), 2);
  EXPECT_EQ(next->datasets(0).name(), "datasets/b");
  EXPECT_EQ(next->datasets(1).name(), "datasets/a");
}

TEST_F(DatasetStoreTest, UnknownNames) {
  for (const absl::Status& status : {store_->Get("datasets/none").status(), store_->Delete("datasets/none"),
                                     store_->Directory("datasets/none").status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(Message(status), HasSubstr("datasets/none"));
  }
  for (const char* name : {"", "d", "models/d", "datasets/", "datasets/../d", "datasets/a/b"}) {
    EXPECT_EQ(store_->Get(name).status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
}

TEST_F(DatasetStoreTest, DeletesUnlessInUse) {
  ASSERT_TRUE(Import(Request("d", "a.csv", Rows(4))).ok());
  std::set<std::string> in_use = {"datasets/d"};
  store_->SetInUseCheck([&](const std::string& name) { return in_use.count(name) > 0; });
  const absl::Status status = store_->Delete("datasets/d");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), HasSubstr("datasets/d is used by a job"));
  EXPECT_TRUE(store_->Directory("datasets/d").ok());
  in_use.clear();
  EXPECT_TRUE(store_->Delete("datasets/d").ok());
  EXPECT_EQ(store_->Get("datasets/d").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(OnDisk(), IsEmpty());
  EXPECT_TRUE(Import(Request("d", "a.csv", Rows(4))).ok());
}

TEST_F(DatasetStoreTest, FailedDatasetsAreDeletedToo) {
  ASSERT_FALSE(Import(Request("d", "a.csv", "")).ok());
  EXPECT_TRUE(store_->Delete("datasets/d").ok());
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(DatasetStoreTest, SurvivesARestart) {
  const auto dataset = Import(Request("d", "a.csv", Rows(4)));
  Start();
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*store_->Get("datasets/d"), *dataset));
  EXPECT_TRUE(store_->Directory("datasets/d").ok());
}

TEST_F(DatasetStoreTest, AnImportThatACrashCutFailsAndMayRunAgain) {
  auto request = Request("d", "a.csv", Rows(20000));
  request.set_request_id("r1");
  // The state of the disk in the middle of an import is kept, and put back after its end, as if that had never come.
  bool copied = false;
  ASSERT_TRUE(store_
                  ->Import(request,
                           [&](int64_t, double) {
                             if (copied) return;
                             copied = true;
                             ASSERT_TRUE(database_->Execute("CREATE TABLE copy AS SELECT * FROM datasets").ok());
                           })
                  .ok());
  ASSERT_TRUE(database_->Execute("DELETE FROM datasets").ok());
  ASSERT_TRUE(database_->Execute("INSERT INTO datasets SELECT * FROM copy").ok());
  ASSERT_TRUE(files_.CreateDirectories(root() + "/.import-d/dataset").ok());
  EXPECT_THAT(OnDisk(), ElementsAre(".import-d", "d"));  // renamed into place, but the row does not say READY

  Start();
  const auto dataset = store_->Get("datasets/d");
  ASSERT_TRUE(dataset.ok());
  EXPECT_EQ(dataset->state(), v1::Dataset::STATE_FAILED);
  EXPECT_THAT(dataset->error(), HasSubstr("the server stopped during the import"));
  EXPECT_THAT(OnDisk(), IsEmpty());
  const auto again = Import(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->name(), "datasets/d");
  EXPECT_THAT(Names(), ElementsAre("datasets/d"));
}

TEST_F(DatasetStoreTest, ADeletionThatACrashCutIsFinished) {
  ASSERT_TRUE(Import(Request("d", "a.csv", Rows(4))).ok());
  ASSERT_TRUE(Import(Request("e", "a.csv", Rows(4))).ok());
  ASSERT_TRUE(files_.Rename(root() + "/d", root() + "/.deleted-d").ok());
  Start();
  EXPECT_THAT(Names(), ElementsAre("datasets/e"));
  EXPECT_THAT(OnDisk(), ElementsAre("e"));
}

TEST_F(DatasetStoreTest, RemainsOfADeletionDoNotHarmALaterDatasetOfThatName) {
  ASSERT_TRUE(Import(Request("d", "a.csv", Rows(4))).ok());
  files_.Inject({.op = FileOp::kRemoveRecursively, .path_contains = ".deleted-d", .skip = 1});
  ASSERT_TRUE(store_->Delete("datasets/d").ok());
  EXPECT_THAT(OnDisk(), ElementsAre(".deleted-d"));
  ASSERT_TRUE(Import(Request("d", "a.csv", Rows(6))).ok());
  Start();
  EXPECT_THAT(OnDisk(), ElementsAre("d"));
  EXPECT_EQ(store_->Get("datasets/d")->report().rows_used(), 6);
}

TEST_F(DatasetStoreTest, FilesThatAreGoneShowAtTheStart) {
  ASSERT_TRUE(Import(Request("d", "a.csv", Rows(4))).ok());
  ASSERT_TRUE(files_.RemoveRecursively(root() + "/d").ok());
  Start();
  EXPECT_EQ(store_->Get("datasets/d")->state(), v1::Dataset::STATE_FAILED);
  EXPECT_THAT(store_->Get("datasets/d")->error(), HasSubstr("import again"));
}

TEST_F(DatasetStoreTest, StrangersInTheDirectoryAreLeftAlone) {
  for (const char* name : {"/lost+found", "/of-another-database"})
    ASSERT_TRUE(files_.CreateDirectories(root() + name).ok());
  Start();
  EXPECT_THAT(OnDisk(), ElementsAre("lost+found", "of-another-database"));
}

TEST_F(DatasetStoreTest, FullDiskLeavesNothing) {
  auto request = Request("d", "a.csv", Rows(2000));
  request.set_request_id("r1");
  // Room for nothing, for some of the spill file, for some of the rows, for all but the last bytes.
  int64_t room = 0;
  for (absl::Status status;; room += 20000) {
    files_.LimitBytes(room);
    status = Import(request).status();
    if (status.ok()) break;
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << room << status;
    EXPECT_THAT(OnDisk(), IsEmpty()) << room;
    EXPECT_THAT(Names(), IsEmpty()) << room;
  }
  EXPECT_GT(room, 100000);
  EXPECT_EQ(store_->Get("datasets/d")->state(), v1::Dataset::STATE_READY);
}

// Whichever call of the disk fails: an error, nothing left, and the next try works.
TEST_F(DatasetStoreTest, EveryFailureOfTheDiskLeavesNothing) {
  int successes = 0;
  for (int call = 1; successes < 3; ++call) {
    files_.Clear();
    files_.FailCall(call);
    const absl::Status status = Import(Request("d", "a.csv", Rows(50))).status();
    files_.Clear();
    if (status.ok()) {
      // Removing the scratch space is the last call, and its failure fails no import.
      ++successes;
      ASSERT_TRUE(store_->Delete("datasets/d").ok());
    } else {
      EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << call << status;
      EXPECT_THAT(Names(), IsEmpty()) << call;
      ASSERT_LT(call, 100);
    }
    Start();
    EXPECT_THAT(OnDisk(), IsEmpty()) << call;
  }
}

TEST_F(DatasetStoreTest, PreviewShowsRowsAsTrainingSeesThem) {
  auto request = Request("d", "a.csv", "text,text_pair,label,part\na,b c,x,train\nd,,y,train\ne,,x,train\nf,,y,test\n");
  request.set_split_column("part");
  request.set_validation_fraction(0);
  ASSERT_TRUE(Import(request).ok());
  v1::PreviewRowsRequest preview;
  preview.set_name("datasets/d");
  preview.set_page_size(2);
  auto page = store_->Preview(preview);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->rows_size(), 2);
  EXPECT_EQ(page->rows(0).input().text(), "a");
  EXPECT_EQ(page->rows(0).input().text_pair(), "b c");
  EXPECT_THAT(page->rows(0).labels(), ElementsAre("x"));
  EXPECT_EQ(page->rows(0).filename(), "a.csv");
  EXPECT_EQ(page->rows(0).line(), 2);
  EXPECT_EQ(page->rows(0).token_ids_size(), 0);
  preview.set_page_token(page->next_page_token());
  preview.set_tokenizer_model("models/words");
  page = store_->Preview(preview);
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->rows_size(), 1);
  EXPECT_THAT(page->rows(0).token_ids(), ElementsAre(0, 1, 0));
  EXPECT_EQ(page->next_page_token(), "");

  // A token belongs to its dataset and split.
  preview.set_split(v1::SPLIT_TEST);
  EXPECT_EQ(store_->Preview(preview).status().code(), absl::StatusCode::kInvalidArgument);
  preview.clear_page_token();
  page = store_->Preview(preview);
  ASSERT_EQ(page->rows_size(), 1);
  EXPECT_EQ(page->rows(0).input().text(), "f");
  preview.set_split(v1::SPLIT_VALIDATION);
  EXPECT_EQ(store_->Preview(preview)->rows_size(), 0);
  preview.set_tokenizer_model("models/none");
  EXPECT_EQ(store_->Preview(preview).status().code(), absl::StatusCode::kNotFound);
  preview.set_page_size(-1);
  preview.clear_tokenizer_model();
  EXPECT_EQ(store_->Preview(preview).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(DatasetStoreTest, PreviewShowsNamedRows) {
  auto request = Request("d", "a.csv", "text,label,part\na,x,train\nb,y,train\nc,x,train\nd,y,test\n");
  request.set_split_column("part");
  request.set_validation_fraction(0);
  ASSERT_TRUE(Import(request).ok());
  v1::PreviewRowsRequest preview;
  preview.set_name("datasets/d");
  for (const int64_t index : {2, 0, 2}) preview.add_row_indices(index);
  const auto rows = store_->Preview(preview);
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->rows_size(), 3);
  EXPECT_EQ(rows->rows(0).input().text(), "c");
  EXPECT_EQ(rows->rows(1).input().text(), "a");
  EXPECT_EQ(rows->rows(2).line(), 4);
  EXPECT_EQ(rows->next_page_token(), "");
  preview.set_split(v1::SPLIT_TEST);
  const auto beyond = store_->Preview(preview).status();
  EXPECT_EQ(beyond.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(beyond.message()), HasSubstr("row_indices[0] is 2: the test split has 1 rows, 0 to 0"));
  preview.set_split(v1::SPLIT_VALIDATION);
  EXPECT_THAT(std::string(store_->Preview(preview).status().message()), HasSubstr("the validation split has 0 rows"));

  const auto refused = [&](const std::function<void(v1::PreviewRowsRequest&)>& change) {
    v1::PreviewRowsRequest changed;
    changed.set_name("datasets/d");
    changed.add_row_indices(0);
    change(changed);
    const absl::Status status = store_->Preview(changed).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refused([](auto& r) { r.set_row_indices(0, -1); }), HasSubstr("row_indices[0] is -1"));
  EXPECT_THAT(refused([](auto& r) { r.set_page_size(2); }), HasSubstr("leave page_size and page_token out"));
  EXPECT_THAT(refused([](auto& r) { r.set_page_token("x"); }), HasSubstr("leave page_size and page_token out"));
  EXPECT_THAT(refused([](auto& r) {
                for (int i = 0; i < 1000; ++i) r.add_row_indices(0);
              }),
              HasSubstr("row_indices has 1001 entries"));
}

TEST_F(DatasetStoreTest, PreviewPagesStayBelowAMessage) {
  std::string csv = "text,label\n";
  for (int i = 0; i < 300; ++i)
    StrAppend(&csv, std::string(9000, static_cast<char>('a' + i % 26)), i, ",", i % 2, "\n");
  auto request = Request("d", "a.csv", csv);
  request.set_validation_fraction(0);
  ASSERT_TRUE(Import(request).ok());
  v1::PreviewRowsRequest preview;
  preview.set_name("datasets/d");
  preview.set_page_size(1000);
  int rows = 0, pages = 0;
  do {
    const auto page = store_->Preview(preview);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_LT(page->ByteSizeLong(), size_t{1100} << 10);
    rows += page->rows_size();
    ++pages;
    preview.set_page_token(page->next_page_token());
  } while (!preview.page_token().empty());
  EXPECT_EQ(rows, 300);
  EXPECT_EQ(pages, 3);

  v1::PreviewRowsRequest named;
  named.set_name("datasets/d");
  for (int i = 299; i >= 0; --i) named.add_row_indices(i);
  const auto first = store_->Preview(named);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_LT(first->ByteSizeLong(), size_t{1100} << 10);
  EXPECT_THAT(first->rows_size(), AllOf(Gt(100), Lt(150))) << "the first of them; the caller asks again";
  EXPECT_EQ(first->rows(0).line(), 301);
}

}  // namespace
}  // namespace attune::datasets
