#include "server/api/access/references.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "attune/v1/admin.pb.h"
#include "attune/v1/checkpoint.pb.h"
#include "attune/v1/dataset.pb.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/model.pb.h"
#include "attune/v1/prediction.pb.h"
#include "attune/v1/system.pb.h"
#include "attune/v1/upload.pb.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"

namespace attune::api {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kName[] = "datasets/foreign";

// Fields that hold what people write, and so may look like names without being any. A new one belongs here and in references.cc, or must be found.
const std::set<std::string>& FreeText() {
  static const std::set<std::string>& names =
      *new std::set<std::string>{"display_name", "filename", "labels", "text", "text_pair", "class_names", "class_labels", "filter", "page_token"};
  return names;
}

// Calls `visit` with a request that has kName in one text field, for each such field however deep, and the field's path.
void ForEachText(Message& root, Message& message, const std::string& path, int depth, const std::function<void(const std::string&, bool)>& visit, bool free = false) {
  const auto& reflection = *message.GetReflection();
  for (int i = 0; depth < 6 && i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    const std::string here = path + "." + field->name();
    const bool is_free = free || FreeText().count(field->name()) > 0;
    if (field->type() == FieldDescriptor::TYPE_STRING) {
      if (field->is_repeated()) {
        reflection.AddString(&message, field, kName);
      } else {
        reflection.SetString(&message, field, kName);
      }
      visit(here, is_free);
      reflection.ClearField(&message, field);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Message* below = field->is_repeated() ? reflection.AddMessage(&message, field) : reflection.MutableMessage(&message, field);
      ForEachText(root, *below, here, depth + 1, visit, is_free);
      reflection.ClearField(&message, field);
    }
  }
}

TEST(ReferencesTest, NoTextOfAnyRequestIsOverlooked) {
  int found = 0;
  std::vector<const google::protobuf::FileDescriptor*> files = {
      v1::CreateBackupRequest::descriptor()->file(), v1::GetCheckpointRequest::descriptor()->file(), v1::GetDatasetRequest::descriptor()->file(),  v1::GetFineTuningJobRequest::descriptor()->file(),
      v1::GetModelRequest::descriptor()->file(),     v1::PredictRequest::descriptor()->file(),       v1::GetServerInfoRequest::descriptor()->file(), v1::GetUploadRequest::descriptor()->file()};
  for (const auto* file : files) {
    ASSERT_EQ(file->service_count(), 1) << file->name();
    for (int i = 0; i < file->service(0)->method_count(); ++i) {
      const Descriptor* type = file->service(0)->method(i)->input_type();
      std::unique_ptr<Message> request(MessageFactory::generated_factory()->GetPrototype(type)->New());
      ForEachText(*request, *request, type->name(), 0, [&](const std::string& path, bool free) {
        EXPECT_EQ(absl::StrJoin(ReferencesIn(*request), ","), free ? "" : kName) << path;
        ++found;
      });
    }
  }
  EXPECT_GT(found, 100);
}

TEST(ReferencesTest, NamesAreCutToTheirResource) {
  v1::EvaluateRequest request;
  request.set_checkpoint("fineTuningJobs/j1/checkpoints/best");
  request.set_dataset("datasets/reviews");
  EXPECT_THAT(ReferencesIn(request), ElementsAre("datasets/reviews", "fineTuningJobs/j1"));
  request.set_checkpoint("fineTuningJobs/../../etc/passwd");
  request.clear_dataset();
  EXPECT_THAT(ReferencesIn(request), ElementsAre("fineTuningJobs/.."));
}

TEST(ReferencesTest, OtherTextIsNone) {
  v1::CreateFineTuningJobRequest request;
  request.mutable_spec()->set_base_model("minilm");
  request.mutable_spec()->add_phases()->set_name("models");
  EXPECT_THAT(ReferencesIn(request), IsEmpty());
}

}  // namespace
}  // namespace attune::api
