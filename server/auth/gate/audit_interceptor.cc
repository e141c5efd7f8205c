#include "server/auth/gate/audit_interceptor.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/descriptor.h"
#include "server/auth/permissions.h"

namespace attune::auth {
namespace {

using grpc::experimental::InterceptionHookPoints;

// gRPC hands messages on without their type. Those of the methods in the table are generated ones, whose only base is Message.
const google::protobuf::Message& AsMessage(const void* message) { return *static_cast<const google::protobuf::Message*>(message); }

std::string TextField(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor* field) {
  if (field == nullptr || field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING || field->is_repeated()) return "";
  return message.GetReflection()->GetString(message, field);
}

}  // namespace

std::string ResourceNameOf(const google::protobuf::Message& message) {
  const google::protobuf::Descriptor* type = message.GetDescriptor();
  if (std::string name = TextField(message, type->FindFieldByName("name")); !name.empty()) return name;
  for (int i = 0; i < type->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = type->field(i);
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE || field->is_repeated() || !message.GetReflection()->HasField(message, field)) continue;
    const google::protobuf::Message& below = message.GetReflection()->GetMessage(message, field);
    if (std::string name = TextField(below, below.GetDescriptor()->FindFieldByName("name")); !name.empty()) return name;
  }
  return "";
}

// Lives as long as the call's context. A call whose status was never sent was cut.
class AuditInterceptor::Call final : public grpc::experimental::Interceptor {
 public:
  Call(AuditInterceptor& owner, grpc::experimental::ServerRpcInfo* info) : owner_(owner), method_(info->method()), typed_(!PermissionFor(method_).method.empty()), info_(info) {
    if (!method_.empty() && method_.front() == '/') method_.erase(0, 1);
  }

  ~Call() override {
    absl::MutexLock lock(&mutex_);
    const std::string code = absl::StatusCodeToString(code_);
    owner_.log_.Record({.caller = caller_, .method = method_, .resource = resource_, .peer = peer_, .code = code});
  }

  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    {
      absl::MutexLock lock(&mutex_);
      if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) Begin();
      // Of a stream, the first message that has a name counts.
      if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE) && typed_ && resource_.empty() && batch->GetRecvMessage() != nullptr) {
        resource_ = ResourceNameOf(AsMessage(batch->GetRecvMessage()));
      }
      if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE) && typed_ && resource_.empty() && batch->GetSendMessage() != nullptr) {
        resource_ = ResourceNameOf(AsMessage(batch->GetSendMessage()));
      }
      if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) code_ = static_cast<absl::StatusCode>(batch->GetSendStatus().error_code());
    }
    batch->Proceed();
  }

 private:
  void Begin() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    absl::StatusOr<Identity> caller = owner_.gate_.CallerOf(*info_->server_context());
    if (caller.ok()) caller_ = *std::move(caller);
    peer_ = info_->server_context()->peer();
  }

  AuditInterceptor& owner_;
  std::string method_;
  const bool typed_;  // a method that this server knows
  grpc::experimental::ServerRpcInfo* const info_;
  absl::Mutex mutex_;  // gRPC calls the hook and the destructor from different threads
  Identity caller_ ABSL_GUARDED_BY(mutex_);
  std::string resource_ ABSL_GUARDED_BY(mutex_);
  std::string peer_ ABSL_GUARDED_BY(mutex_);
  absl::StatusCode code_ ABSL_GUARDED_BY(mutex_) = absl::StatusCode::kCancelled;
};

grpc::experimental::Interceptor* AuditInterceptor::CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) {
  return PermissionFor(info->method()).audited ? new Call(*this, info) : nullptr;
}

}  // namespace attune::auth
