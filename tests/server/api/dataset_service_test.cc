#include "server/api/dataset_service.h"

#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "server/base/str_cat.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

using ::testing::_;
using ::testing::Invoke;
using ::testing::Return;
using Progress = datasets::DatasetStore::Progress;

class DatasetServiceTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    stub_ = v1::DatasetService::NewStub(channel_);
  }

  static v1::ImportDatasetRequest Request() {
    v1::ImportDatasetRequest request;
    request.set_dataset_id("reviews");
    request.add_files()->set_upload("uploads/u1");
    return request;
  }

  struct Imported {
    grpc::Status status;
    std::vector<v1::ImportDatasetResponse> messages;
  };
  Imported Import(const v1::ImportDatasetRequest& request) {
    grpc::ClientContext context;
    auto reader = stub_->ImportDataset(&context, request);
    Imported imported;
    v1::ImportDatasetResponse message;
    while (reader->Read(&message)) imported.messages.push_back(message);
    imported.status = reader->Finish();
    return imported;
  }

  std::unique_ptr<v1::DatasetService::Stub> stub_;
};

v1::Dataset Ready() {
  v1::Dataset dataset;
  dataset.set_name("datasets/reviews");
  dataset.set_state(v1::Dataset::STATE_READY);
  dataset.mutable_report()->set_rows_read(1000);
  return dataset;
}

TEST_F(DatasetServiceTest, ReportsProgressAndThenTheDataset) {
  EXPECT_CALL(datasets_, Import).WillOnce([](const v1::ImportDatasetRequest& request, const Progress& progress) {
    EXPECT_EQ(request.dataset_id(), "reviews");
    for (int i = 0; i < 1000; ++i) progress(i, i / 1000.0);
    return Ready();
  });
  Imported imported = Import(Request());
  ASSERT_TRUE(imported.status.ok()) << imported.status.error_message();
  // Thousands of reports within 200 ms are one message; more only on a machine that stood still.
  ASSERT_GE(imported.messages.size(), 2u);
  EXPECT_LT(imported.messages.size(), 100u);
  EXPECT_FALSE(imported.messages.front().has_dataset());
  EXPECT_EQ(imported.messages.front().rows_read(), 0);
  EXPECT_EQ(imported.messages.back().dataset().name(), "datasets/reviews");
  EXPECT_EQ(imported.messages.back().fraction(), 1);
  EXPECT_EQ(imported.messages.back().rows_read(), 1000);
}

TEST_F(DatasetServiceTest, TheImportGoesOnWhenTheClientLeaves) {
  absl::Notification left, ended;
  EXPECT_CALL(datasets_, Import).WillOnce([&](const v1::ImportDatasetRequest& request, const Progress& progress) {
    progress(1, 0.1);
    left.WaitForNotification();
    progress(2, 0.2);
    EXPECT_EQ(request.files(0).upload(), "uploads/u1");  // though the call's own request is gone
    ended.Notify();
    return Ready();
  });
  {
    grpc::ClientContext context;
    auto reader = stub_->ImportDataset(&context, Request());
    v1::ImportDatasetResponse message;
    ASSERT_TRUE(reader->Read(&message));
    context.TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  left.Notify();
  ended.WaitForNotification();
}

TEST_F(DatasetServiceTest, ABadFileNamesItsRows) {
  for (const char* filename : {"train.csv", "test.csv"}) {
    ASSERT_TRUE(artifacts_.CreateUpload({.filename = filename, .size_bytes = 1}).ok());
  }
  v1::Dataset failed;
  failed.set_name("datasets/reviews");
  failed.set_state(v1::Dataset::STATE_FAILED);
  v1::RowIssue* issue = failed.mutable_report()->add_issues();
  issue->set_filename("test.csv");
  issue->set_line(17);
  issue->set_column("label");
  issue->set_message("the label is empty; fill it in");
  issue = failed.mutable_report()->add_issues();
  issue->set_filename("train.csv");
  issue->set_line(3);
  issue->set_message("5 columns, and the header has 4");
  issue = failed.mutable_report()->add_issues();
  issue->set_filename("photos.tar");
  issue->set_entry("cat/1.jpg");
  issue->set_message("the file is cut short: upload it again");
  (*failed.mutable_report()->mutable_issue_counts())["missing_label"] = 1;
  (*failed.mutable_report()->mutable_issue_counts())["ragged_row"] = 1;
  EXPECT_CALL(datasets_, Import).WillOnce([](const auto&, const auto&) {
    absl::Status status = absl::InvalidArgumentError("2 of 1000 rows are bad, first test.csv line 17");
    status.SetPayload("attune.v1.Dataset", absl::Cord("datasets/reviews"));
    return status;
  });
  EXPECT_CALL(datasets_, Get("datasets/reviews")).WillOnce(Return(failed));

  v1::ImportDatasetRequest request = Request();
  request.add_files()->set_upload("uploads/u2");
  grpc::Status status = Import(request).status;
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(status.error_message().find("GetDataset datasets/reviews"), std::string::npos) << status.error_message();
  EXPECT_NE(status.error_message().find("max_bad_rows"), std::string::npos);
  Details details = DetailsOf(status);
  EXPECT_EQ(details.info.reason(), "BAD_ROWS");
  EXPECT_EQ(details.info.metadata().at("dataset"), "datasets/reviews");
  ASSERT_EQ(details.bad_request.field_violations_size(), 3);
  EXPECT_EQ(details.bad_request.field_violations(2).field(), "files: photos.tar: cat/1.jpg");
  EXPECT_EQ(details.bad_request.field_violations(0).field(), "files[1]: test.csv line 17 column label");
  EXPECT_EQ(details.bad_request.field_violations(0).description(), "the label is empty; fill it in");
  EXPECT_EQ(details.bad_request.field_violations(1).field(), "files[0]: train.csv line 3");
}

TEST_F(DatasetServiceTest, DataThatFailsForAnotherReasonThanItsRows) {
  v1::Dataset failed;
  failed.set_name("datasets/reviews");
  failed.mutable_report()->add_issues()->set_line(3);  // left out, as was asked for
  (*failed.mutable_report()->mutable_issue_counts())["ragged_row"] = 1;
  EXPECT_CALL(datasets_, Import).WillOnce([](const auto&, const auto&) {
    absl::Status status = absl::InvalidArgumentError("all rows have the label \"good\"; add rows of another class");
    status.SetPayload("attune.v1.Dataset", absl::Cord("datasets/reviews"));
    return status;
  });
  EXPECT_CALL(datasets_, Get("datasets/reviews")).WillOnce(Return(failed));
  v1::ImportDatasetRequest request = Request();
  request.set_max_bad_rows(-1);
  grpc::Status status = Import(request).status;
  EXPECT_EQ(status.error_message().find("max_bad_rows"), std::string::npos) << status.error_message();
  Details details = DetailsOf(status);
  EXPECT_EQ(details.info.reason(), "UNUSABLE_DATA");
  EXPECT_EQ(details.info.metadata().at("dataset"), "datasets/reviews");
  EXPECT_EQ(details.bad_request.field_violations_size(), 0);
}

TEST_F(DatasetServiceTest, ImportChecksEachField) {
  struct Case {
    std::function<void(v1::ImportDatasetRequest&)> spoil;
    std::string field;
  };
  const Case cases[] = {
      {[](auto& r) { r.set_dataset_id("Bad"); }, "dataset_id"},
      {[](auto& r) { r.set_display_name("a\nb"); }, "display_name"},
      {[](auto& r) { r.clear_files(); }, "files"},
      {[](auto& r) { r.mutable_files(0)->set_upload(""); }, "files[0].upload"},
      {[](auto& r) { r.add_files()->set_upload("u1"); }, "files[1].upload"},
      {[](auto& r) { r.set_text_column(std::string(256, 'x')); }, "text_column"},
      {[](auto& r) { r.set_text_pair_column(std::string(256, 'x')); }, "text_pair_column"},
      {[](auto& r) { r.set_label_column(std::string(256, 'x')); }, "label_column"},
      {[](auto& r) { r.set_split_column(std::string(256, 'x')); }, "split_column"},
      {[](auto& r) { r.set_validation_fraction(-0.1); }, "validation_fraction"},
      {[](auto& r) { r.set_test_fraction(std::numeric_limits<double>::quiet_NaN()); }, "test_fraction"},
      {[](auto& r) { r.set_validation_fraction(0.5), r.set_test_fraction(0.5); }, "test_fraction"},
      {[](auto& r) { r.set_max_bad_rows(-2); }, "max_bad_rows"},
      {[](auto& r) { r.set_tokenizer_model("x"); }, "tokenizer_model"},
      {[](auto& r) { r.set_request_id("\x01"); }, "request_id"},
  };
  for (const Case& c : cases) {
    v1::ImportDatasetRequest request = Request();
    c.spoil(request);
    EXPECT_EQ(OnlyField(Import(request).status), c.field) << request.ShortDebugString();
  }
}

TEST_F(DatasetServiceTest, UnaryMethodsPassOn) {
  EXPECT_CALL(datasets_, Get("datasets/x")).WillOnce(Return(absl::NotFoundError("there is no datasets/x")));
  EXPECT_CALL(datasets_, Delete("datasets/x")).WillOnce(Return(absl::FailedPreconditionError("in use")));
  v1::ListDatasetsResponse page;
  page.set_next_page_token("more");
  EXPECT_CALL(datasets_, List(_, 50, "token")).WillOnce(Return(page));
  EXPECT_CALL(datasets_, Preview(_)).WillOnce([](const v1::PreviewRowsRequest& request) {
    EXPECT_EQ(request.page_size(), 1000);
    v1::PreviewRowsResponse response;
    response.add_rows()->set_line(7);
    return response;
  });

  v1::GetDatasetRequest get;
  get.set_name("datasets/x");
  v1::Dataset dataset;
  grpc::ClientContext c1, c2, c3, c4;
  EXPECT_EQ(stub_->GetDataset(&c1, get, &dataset).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::DeleteDatasetRequest remove;
  remove.set_name("datasets/x");
  v1::DeleteDatasetResponse removed;
  EXPECT_EQ(stub_->DeleteDataset(&c2, remove, &removed).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  v1::ListDatasetsRequest list;
  list.set_page_token("token");
  v1::ListDatasetsResponse listed;
  EXPECT_TRUE(stub_->ListDatasets(&c3, list, &listed).ok());
  EXPECT_EQ(listed.next_page_token(), "more");
  v1::PreviewRowsRequest preview;
  preview.set_name("datasets/x");
  preview.set_page_size(5000);
  v1::PreviewRowsResponse previewed;
  EXPECT_TRUE(stub_->PreviewRows(&c4, preview, &previewed).ok());
  EXPECT_EQ(previewed.rows(0).line(), 7);
}

TEST_F(DatasetServiceTest, UnaryMethodsCheckTheirFields) {
  v1::GetDatasetRequest get;
  v1::Dataset dataset;
  grpc::ClientContext c1, c2, c3, c4;
  EXPECT_EQ(OnlyField(stub_->GetDataset(&c1, get, &dataset)), "name");
  v1::DeleteDatasetRequest remove;
  v1::DeleteDatasetResponse removed;
  EXPECT_EQ(OnlyField(stub_->DeleteDataset(&c2, remove, &removed)), "name");
  v1::ListDatasetsRequest list;
  list.set_page_size(-1);
  v1::ListDatasetsResponse listed;
  EXPECT_EQ(OnlyField(stub_->ListDatasets(&c3, list, &listed)), "page_size");
  v1::PreviewRowsRequest preview;
  preview.set_name("datasets/x");
  preview.set_tokenizer_model("x");
  v1::PreviewRowsResponse previewed;
  EXPECT_EQ(OnlyField(stub_->PreviewRows(&c4, preview, &previewed)), "tokenizer_model");
  preview.clear_tokenizer_model();
  for (const int pixels : {-1, 257}) {
    grpc::ClientContext context;
    preview.set_thumbnail_pixels(pixels);
    EXPECT_EQ(OnlyField(stub_->PreviewRows(&context, preview, &previewed)), "thumbnail_pixels");
  }
}

TEST_F(DatasetServiceTest, NamedRowsExcludeAPage) {
  EXPECT_CALL(datasets_, Preview(_)).WillOnce([](const v1::PreviewRowsRequest& request) {
    EXPECT_EQ(request.page_size(), 0) << "the store refuses a page beside named rows";
    EXPECT_EQ(request.row_indices_size(), 1000);
    return v1::PreviewRowsResponse();
  });
  v1::PreviewRowsRequest request;
  request.set_name("datasets/x");
  const auto call = [&] {
    grpc::ClientContext context;
    v1::PreviewRowsResponse response;
    return stub_->PreviewRows(&context, request, &response);
  };
  for (int i = 0; i < 1000; ++i) request.add_row_indices(i);
  EXPECT_TRUE(call().ok());
  request.add_row_indices(0);
  EXPECT_EQ(OnlyField(call()), "row_indices");
  request.mutable_row_indices()->Truncate(3);
  request.set_row_indices(1, -1);
  EXPECT_EQ(OnlyField(call()), "row_indices[1]");
  request.set_row_indices(1, 1);
  request.set_page_size(5);
  EXPECT_EQ(OnlyField(call()), "page_size");
  request.clear_page_size();
  request.set_page_token("t");
  EXPECT_EQ(OnlyField(call()), "page_token");
}

TEST_F(DatasetServiceTest, ClassNamesAreNamedAndDistinct) {
  const auto field = [&](const std::vector<std::string>& names) {
    v1::ImportDatasetRequest request = Request();
    for (const std::string& name : names) request.add_class_names(name);
    return OnlyField(Import(request).status);
  };
  EXPECT_EQ(field({"shirt", ""}), "class_names[1]");
  EXPECT_EQ(field({"shirt", "bag", "shirt"}), "class_names[2]");
  EXPECT_EQ(field({std::string(256, 'x')}), "class_names[0]");
  std::vector<std::string> many;
  for (int i = 0; i < 257; ++i) many.push_back(StrCat("class ", i));
  EXPECT_EQ(field(many), "class_names");
}

}  // namespace
}  // namespace attune::api
