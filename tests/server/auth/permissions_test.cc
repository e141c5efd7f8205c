#include "server/auth/permissions.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "attune/v1/admin.pb.h"
#include "attune/v1/checkpoint.pb.h"
#include "attune/v1/common.pb.h"
#include "attune/v1/dataset.pb.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/model.pb.h"
#include "attune/v1/prediction.pb.h"
#include "attune/v1/system.pb.h"
#include "attune/v1/upload.pb.h"
#include "google/protobuf/descriptor.h"
#include "server/base/files.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;

// A message of each file: the linker leaves out what nobody speaks of.
const google::protobuf::Descriptor* const kLinked[] = {v1::CreateBackupRequest::descriptor(),      v1::Checkpoint::descriptor(),     v1::TextInput::descriptor(),      v1::Dataset::descriptor(), v1::FineTuningJob::descriptor(),
                                                       v1::Model::descriptor(),                    v1::PredictRequest::descriptor(), v1::ServerInfo::descriptor(),     v1::Upload::descriptor()};

// Every method of every proto in the public API's folder: a new file cannot be forgotten here.
std::map<std::string, const MethodDescriptor*> MethodsOfTheApi() {
  const char* root = std::getenv("ATTUNE_SOURCE_DIR");
  std::map<std::string, const MethodDescriptor*> methods;
  const std::vector<std::string> names = ListDirectory(StrCat(root == nullptr ? "." : root, "/proto/attune/v1")).value();
  for (const std::string& name : names) {
    const FileDescriptor* file = DescriptorPool::generated_pool()->FindFileByName(StrCat("attune/v1/", name));
    EXPECT_NE(file, nullptr) << name << " is new: put one of its messages into kLinked";
    for (int s = 0; file != nullptr && s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) methods[StrCat(file->service(s)->full_name(), "/", file->service(s)->method(m)->name())] = file->service(s)->method(m);
    }
  }
  return methods;
}

TEST(Permissions, TotalOverTheApi) {
  ASSERT_NE(kLinked[0], nullptr);
  const auto methods = MethodsOfTheApi();
  ASSERT_GT(methods.size(), 30u);
  for (const auto& [name, method] : methods) {
    EXPECT_EQ(PermissionFor(name).method, name) << "has no line in server/auth/permissions.cc: say there what it needs";
    EXPECT_FALSE(PermissionFor(name).open) << name;
  }
  std::set<std::string_view> seen;
  for (const Permission& permission : Permissions()) {
    EXPECT_TRUE(seen.insert(permission.method).second) << permission.method << " is there twice";
    if (absl::StartsWith(permission.method.data(), "attune.")) {
      EXPECT_EQ(methods.count(std::string(permission.method)), 1u) << permission.method << " is no method any more";
    }
  }
}

// By the API's names: what is said to read does not need more, and what is said to change something is audited.
TEST(Permissions, FollowTheNames) {
  for (const auto& [name, method] : MethodsOfTheApi()) {
    const Permission permission = PermissionFor(name);
    const bool reads = absl::StartsWith(method->name(), "Get") || absl::StartsWith(method->name(), "List") || absl::StartsWith(method->name(), "Watch") || absl::StartsWith(method->name(), "Describe");
    const bool changes = absl::StartsWith(method->name(), "Create") || absl::StartsWith(method->name(), "Delete") || absl::StartsWith(method->name(), "Update") ||
                         absl::StartsWith(method->name(), "Import") || absl::StartsWith(method->name(), "Write");
    if (reads && !absl::StrContains(name, "AdminService")) {
      EXPECT_TRUE(permission.scope == Scope::kRead && !permission.audited) << name;
    }
    if (changes) {
      EXPECT_TRUE(permission.scope != Scope::kRead && permission.audited) << name;
    }
    if (absl::StrContains(name, "AdminService")) {
      EXPECT_EQ(permission.scope, Scope::kAdmin) << name;
    }
  }
}

TEST(Permissions, ProbesAreOpenAndWhatIsUnknownIsClosed) {
  for (const char* method : {"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", "grpc.health.v1.Health/Check", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    EXPECT_TRUE(PermissionFor(method).open) << method;
  }
  for (const char* method : {"", "/", "/attune.v1.UploadService/Nothing", "/attune.v1.UploadService/createupload", "//grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Check/", "/grpc.health.v1.Health/",
                             "/attune.v1.AdminService/../grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Check?x"}) {
    const Permission permission = PermissionFor(method);
    EXPECT_FALSE(permission.open) << method;
    EXPECT_EQ(permission.scope, Scope::kAdmin) << method;
    EXPECT_TRUE(permission.audited && permission.method.empty()) << method;
  }
}

}  // namespace
}  // namespace attune::auth
