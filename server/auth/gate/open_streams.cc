#include "server/auth/gate/open_streams.h"

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpc/grpc.h"
#include "server/auth/auth_errors.h"
#include "server/auth/gate/call_credentials.h"
#include "server/auth/permissions.h"
#include "server/base/log.h"

namespace attune::auth {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::ServerRpcInfo;

// Holds the call itself, which may end at any time, so that cancelling it is harmless then.
struct OpenStreams::Stream {
  Stream(grpc_call* call, std::string method, std::string bearer_token) : call(call), method(std::move(method)), bearer_token(std::move(bearer_token)) {
    grpc_init();  // one may be let go when the last server is gone already
    grpc_call_ref(call);
  }
  ~Stream() {
    grpc_call_unref(call);
    grpc_shutdown();
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  grpc_call* const call;
  const std::string method;
  const std::string bearer_token;
  std::atomic<bool> ended{false};  // by us; its call may take a while to go
};

// Lives as long as the call's context.
class OpenStreams::Interceptor final : public grpc::experimental::Interceptor {
 public:
  Interceptor(OpenStreams& owner, ServerRpcInfo* info) : owner_(owner), info_(info) {}
  ~Interceptor() override {
    if (number_ != 0) owner_.Remove(number_);
  }

  void Intercept(grpc::experimental::InterceptorBatchMethods* batch) override {
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      auto* context = static_cast<grpc::CallbackServerContext*>(info_->server_context());
      // One that cannot be read has not passed the gate; one without a token has none that could be revoked.
      if (absl::StatusOr<Credentials> credentials = CredentialsOf(*context); credentials.ok() && !credentials->bearer_token.empty()) {
        number_ = owner_.Add(std::make_shared<Stream>(context->c_call(), info_->method(), std::move(credentials->bearer_token)));
      }
    }
    batch->Proceed();
  }

 private:
  OpenStreams& owner_;
  ServerRpcInfo* const info_;
  uint64_t number_ = 0;  // of the stream; written by the call's first event
};

class OpenStreams::Factory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(OpenStreams& owner) : owner_(owner) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    const bool stream = info->type() != ServerRpcInfo::Type::UNARY;
    return stream && !PermissionFor(info->method()).open ? new Interceptor(owner_, info) : nullptr;
  }

 private:
  OpenStreams& owner_;
};

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> OpenStreams::MakeInterceptorFactory() { return std::make_unique<Factory>(*this); }

uint64_t OpenStreams::Add(std::shared_ptr<Stream> stream) {
  absl::MutexLock lock(&mutex_);
  streams_.emplace(++last_number_, std::move(stream));
  return last_number_;
}

void OpenStreams::Remove(uint64_t number) {
  std::shared_ptr<Stream> stream;  // goes without the lock
  absl::MutexLock lock(&mutex_);
  auto found = streams_.find(number);
  stream = std::move(found->second);
  streams_.erase(found);
}

int OpenStreams::EndRevoked() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [number, stream] : streams_) streams.push_back(stream);
  }
  int ended = 0;
  for (const std::shared_ptr<Stream>& stream : streams) {
    const absl::Status status = check_(stream->bearer_token);
    if (status.ok() || stream->ended.exchange(true)) continue;
    // A server's status goes to the client, as if the service had ended the call.
    const std::string message(status.message());
    grpc_call_cancel_with_status(stream->call, GRPC_STATUS_UNAUTHENTICATED, message.c_str(), nullptr);
    metrics_.ended.Increment();
    Log(LogLevel::kInfo, "ended a stream whose token was revoked", {{"method", stream->method}, {"error", message}});
    ++ended;
  }
  return ended;
}

}  // namespace attune::auth
