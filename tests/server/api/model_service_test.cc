#include "server/api/model_service.h"

#include <functional>
#include <string>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

using ::testing::_;
using ::testing::Return;

class ModelServiceTest : public ApiTest {
 protected:
  void SetUp() override {
    v1::Architecture* bert = scheduler_.architecture_list.add_architectures();
    bert->set_name("bert");
    bert->add_tasks("text-classification");
    ApiTest::SetUp();
    stub_ = v1::ModelService::NewStub(channel_);
  }

  static v1::ImportModelRequest Request() {
    v1::ImportModelRequest request;
    request.set_model_id("minilm");
    v1::ModelFile* file = request.add_files();
    file->set_path("config.json");
    file->set_upload("uploads/u1");
    return request;
  }
  grpc::Status Import(const v1::ImportModelRequest& request, v1::Model* model) {
    grpc::ClientContext context;
    return stub_->ImportModel(&context, request, model);
  }

  std::unique_ptr<v1::ModelService::Stub> stub_;
};

v1::Model Imported() {
  v1::Model model;
  model.set_name("models/minilm");
  return model;
}

TEST_F(ModelServiceTest, Import) {
  EXPECT_CALL(catalogue_, Import(_)).WillOnce([](const v1::ImportModelRequest& request) {
    EXPECT_EQ(request.files(0).path(), "config.json");
    return Imported();
  });
  v1::Model model;
  EXPECT_TRUE(Import(Request(), &model).ok());
  EXPECT_EQ(model.name(), "models/minilm");
}

TEST_F(ModelServiceTest, TheImportGoesOnWhenTheClientLeaves) {
  absl::Notification began, left, ended;
  EXPECT_CALL(catalogue_, Import(_)).WillOnce([&](const v1::ImportModelRequest& request) {
    began.Notify();
    left.WaitForNotification();
    EXPECT_EQ(request.model_id(), "minilm");  // though the call's own request is gone
    ended.Notify();
    return Imported();
  });
  grpc::ClientContext context;
  v1::Model model;
  std::thread client([&] {
    EXPECT_EQ(stub_->ImportModel(&context, Request(), &model).error_code(), grpc::StatusCode::CANCELLED);
  });
  began.WaitForNotification();
  context.TryCancel();
  client.join();
  left.Notify();
  ended.WaitForNotification();
}

TEST_F(ModelServiceTest, ImportChecksEachField) {
  struct Case {
    std::function<void(v1::ImportModelRequest&)> spoil;
    std::string field;
  };
  const Case cases[] = {
      {[](auto& r) { r.clear_model_id(); }, "model_id"},
      {[](auto& r) { r.set_model_id("models/x"); }, "model_id"},
      {[](auto& r) { r.set_display_name(std::string(256, 'x')); }, "display_name"},
      {[](auto& r) { r.clear_files(); }, "files"},
      {[](auto& r) { r.mutable_files(0)->clear_path(); }, "files[0].path"},
      {[](auto& r) { r.mutable_files(0)->set_upload("x"); }, "files[0].upload"},
      {[](auto& r) { r.set_request_id("a b"); }, "request_id"},
  };
  for (const Case& c : cases) {
    v1::ImportModelRequest request = Request();
    c.spoil(request);
    v1::Model model;
    EXPECT_EQ(OnlyField(Import(request, &model)), c.field) << request.ShortDebugString();
  }
}

TEST_F(ModelServiceTest, OtherMethodsPassOn) {
  EXPECT_CALL(catalogue_, Get("models/x")).WillOnce(Return(absl::NotFoundError("there is no models/x")));
  EXPECT_CALL(catalogue_, Delete("models/x")).WillOnce(Return(absl::OkStatus()));
  EXPECT_CALL(catalogue_, List(_, 7, "")).WillOnce(Return(v1::ListModelsResponse()));
  EXPECT_CALL(catalogue_, DescribeLayers(_)).WillOnce([](const v1::DescribeLayersRequest& request) {
    EXPECT_EQ(request.patterns(0), "encoder.*");
    v1::DescribeLayersResponse response;
    response.add_layers()->set_name("encoder.x");
    return response;
  });
  grpc::ClientContext c1, c2, c3, c4, c5;
  v1::GetModelRequest get;
  get.set_name("models/x");
  v1::Model model;
  EXPECT_EQ(stub_->GetModel(&c1, get, &model).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::DeleteModelRequest remove;
  remove.set_name("models/x");
  v1::DeleteModelResponse removed;
  EXPECT_TRUE(stub_->DeleteModel(&c2, remove, &removed).ok());
  v1::ListModelsRequest list;
  list.set_page_size(7);
  v1::ListModelsResponse listed;
  EXPECT_TRUE(stub_->ListModels(&c3, list, &listed).ok());
  v1::DescribeLayersRequest describe;
  describe.set_name("models/x");
  describe.add_patterns("encoder.*");
  v1::DescribeLayersResponse described;
  EXPECT_TRUE(stub_->DescribeLayers(&c4, describe, &described).ok());
  EXPECT_EQ(described.layers(0).name(), "encoder.x");
  v1::ListArchitecturesResponse architectures;
  EXPECT_TRUE(stub_->ListArchitectures(&c5, v1::ListArchitecturesRequest(), &architectures).ok());
  EXPECT_EQ(architectures.architectures(0).name(), "bert");
}

TEST_F(ModelServiceTest, OtherMethodsCheckTheirFields) {
  grpc::ClientContext c1, c2, c3, c4;
  v1::Model model;
  v1::DeleteModelResponse removed;
  v1::ListModelsResponse listed;
  v1::DescribeLayersResponse described;
  EXPECT_EQ(OnlyField(stub_->GetModel(&c1, v1::GetModelRequest(), &model)), "name");
  EXPECT_EQ(OnlyField(stub_->DeleteModel(&c2, v1::DeleteModelRequest(), &removed)), "name");
  v1::ListModelsRequest list;
  list.set_page_size(-1);
  EXPECT_EQ(OnlyField(stub_->ListModels(&c3, list, &listed)), "page_size");
  v1::DescribeLayersRequest describe;
  describe.set_name("models/x");
  for (int i = 0; i < 101; ++i) describe.add_patterns("*");
  EXPECT_EQ(OnlyField(stub_->DescribeLayers(&c4, describe, &described)), "patterns");
}

}  // namespace
}  // namespace attune::api
