#include "server/auth/gate/gated_credentials.h"

#include <string>
#include <string_view>
#include <vector>

#include "grpc/grpc.h"
#include "grpc/slice.h"
#include "grpc/support/log.h"
#include "server/auth/gate/call_credentials.h"

namespace attune::auth {
namespace {

// HTTP/2 header lists of a whole call are bounded; a message in one must leave room for the rest.
constexpr size_t kMaxMessageBytes = 1 << 10;

std::string_view View(const grpc_slice& slice) { return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice)}; }

// Runs on a thread of gRPC for each call, before anything else sees the call.
void Process(void* state, grpc_auth_context* context, const grpc_metadata* metadata, size_t count, grpc_process_auth_metadata_done_cb done, void* user_data) {
  std::string_view method;
  std::vector<std::string_view> authorization;
  for (size_t i = 0; i < count; ++i) {
    const std::string_view key = View(metadata[i].key);
    if (key == ":path") method = View(metadata[i].value);
    if (key == "authorization") authorization.push_back(View(metadata[i].value));
  }
  const absl::StatusOr<Identity> caller = static_cast<CallGate*>(state)->Admit(method, CredentialsOf(authorization, context));
  if (caller.ok()) {
    done(user_data, nullptr, 0, nullptr, 0, GRPC_STATUS_OK, nullptr);
    return;
  }
  const std::string message = std::string(caller.status().message()).substr(0, kMaxMessageBytes);
  // absl's codes are gRPC's by design.
  done(user_data, nullptr, 0, nullptr, 0, static_cast<grpc_status_code>(caller.status().code()), message.c_str());
}

class GatedCredentials final : public grpc::ServerCredentials {
 public:
  GatedCredentials(grpc_server_credentials* credentials, CallGate& gate) : credentials_(credentials) {
    grpc_server_credentials_set_auth_metadata_processor(credentials_, {.process = Process, .destroy = nullptr, .state = &gate});
  }
  ~GatedCredentials() override { grpc_server_credentials_release(credentials_); }

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override { GPR_ASSERT(false && "the gate is the processor"); }

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override { return grpc_server_add_http2_port(server, address.c_str(), credentials_); }

  grpc_server_credentials* const credentials_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakeGatedCredentials(grpc_server_credentials* credentials, CallGate& gate) {
  return std::make_shared<GatedCredentials>(credentials == nullptr ? grpc_insecure_server_credentials_create() : credentials, gate);
}

}  // namespace attune::auth
