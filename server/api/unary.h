// How a unary method answers: at once from a snapshot (Answer), from the pool when the call may wait for a disk (AnswerFromPool), or from the imports pool
// for work that outlives its caller (DetachableCall) or ends with it (CancellableCall). All keep a service method at "validate, call one domain function, convert". Thread-safe.
//
//   return AnswerFromPool(context, pool_, response, [this, request] { return catalogue_.Get(request->name()); });
#pragma once

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/support/server_callback.h"
#include "server/api/access/access.h"
#include "server/api/blocking_pool.h"
#include "server/api/grpc_status.h"
#include "server/base/fault_point.h"

namespace attune::api {

inline grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

template <typename Response>
absl::Status Store(absl::StatusOr<Response> result, Response* response) {
  if (result.ok()) *response = *std::move(result);
  return result.status();
}

template <typename Response>
grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, Response* response, absl::StatusOr<Response> result) {
  return Answer(context, Store(std::move(result), response));
}

// `call` returns StatusOr<Response>, or a Status when the response is empty. gRPC keeps request and response until Finish.
template <typename Response, typename Call>
grpc::ServerUnaryReactor* AnswerFromPool(grpc::CallbackServerContext* context, BlockingPool& pool, Response* response, Call call) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::Status admitted = pool.TryRun([reactor, response, call = std::move(call)]() mutable {
    if constexpr (std::is_same_v<decltype(call()), absl::Status>) {
      reactor->Finish(ToGrpcStatus(call()));
    } else {
      reactor->Finish(ToGrpcStatus(Store(absl::StatusOr<Response>(call()), response)));
    }
  });
  if (!admitted.ok()) reactor->Finish(ToGrpcStatus(admitted));
  return reactor;
}

// The same for a caller who may see what the request names. `call` may take the caller, too.
template <typename Request, typename Response, typename Call>
grpc::ServerUnaryReactor* AnswerFromPool(grpc::CallbackServerContext* context, Access& access, BlockingPool& pool, const Request* request, Response* response, Call call) {
  absl::StatusOr<Caller> caller = access.CallerOf(*context);
  if (!caller.ok()) return Answer(context, caller.status());
  return AnswerFromPool(context, pool, response, [&access, caller = *std::move(caller), request, call = std::move(call)]() mutable {
    const absl::Status seen = access.Check(caller, *request);
    if constexpr (std::is_invocable_v<Call, const Caller&>) {
      return seen.ok() ? call(caller) : decltype(call(caller))(seen);
    } else {
      return seen.ok() ? call() : decltype(call())(seen);
    }
  });
}

// For requests that name jobs and checkpoints alone, which are in memory: `start` gets the reactor once the caller may see them.
template <typename Request, typename Start>
grpc::ServerUnaryReactor* AnswerAfterCheck(grpc::CallbackServerContext* context, Access& access, const Request& request, Start start) {
  if (absl::Status status = access.Admit(*context, request).status(); !status.ok()) return Answer(context, status);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  start(reactor);
  return reactor;
}

// A call that takes minutes: when its client leaves (or the server goes down) the RPC ends, and the work goes on. `call` must hold its own copy of the
// request.
template <typename Response>
class DetachableCall final : public grpc::ServerUnaryReactor, public std::enable_shared_from_this<DetachableCall<Response>> {
 public:
  // The reactor of one call, which gRPC owns.
  template <typename Call>
  static grpc::ServerUnaryReactor* Start(BlockingPool& pool, Response* response, Call call) {
    std::shared_ptr<DetachableCall> self(new DetachableCall(response));
    self->self_ = self;
    absl::Status admitted = pool.TryRun([self, call = std::move(call)]() mutable { self->End(call()); });
    if (!admitted.ok()) self->End(admitted);
    return self.get();
  }
  void OnCancel() override { End(absl::CancelledError("the caller left; the work goes on")); }
  void OnDone() override { std::shared_ptr<DetachableCall> last = std::move(self_); }

 private:
  explicit DetachableCall(Response* response) : response_(response) {}
  void End(absl::StatusOr<Response> result) {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(ended_, true)) return;  // then the response is gone too
    this->Finish(ToGrpcStatus(Store(std::move(result), response_)));
  }

  Response* const response_;
  std::shared_ptr<DetachableCall> self_;  // gRPC's share, until OnDone
  absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
};

// A call that takes minutes and is of no use without its caller: when the client leaves (or the server goes down) the RPC ends, and the work is told to. `begin` runs on the pool, gets the
// callback for the answer, and returns the function that ends the work early; it may come when the work is over.
template <typename Response>
class CancellableCall final : public grpc::ServerUnaryReactor {
 public:
  // The reactor of one call, which gRPC owns.
  template <typename Begin>
  static grpc::ServerUnaryReactor* Start(BlockingPool& pool, Response* response, Begin begin) {
    std::shared_ptr<CancellableCall> self(new CancellableCall(response));
    self->self_ = self;
    const absl::Status admitted = pool.TryRun([self, begin = std::move(begin)]() mutable { self->OnLeft(begin([self](absl::StatusOr<Response> result) { self->End(std::move(result)); })); });
    if (!admitted.ok()) self->End(admitted);
    return self.get();
  }
  void OnCancel() override {
    std::function<void()> on_left;
    {
      absl::MutexLock lock(&mutex_);
      left_ = true;
      on_left = std::exchange(on_left_, nullptr);
    }
    if (on_left) on_left();
    End(absl::CancelledError("the caller left"));
  }
  void OnDone() override { std::shared_ptr<CancellableCall> last = std::move(self_); }

 private:
  explicit CancellableCall(Response* response) : response_(response) {}
  void OnLeft(std::function<void()> on_left) {
    {
      absl::MutexLock lock(&mutex_);
      if (!left_) {
        on_left_ = std::move(on_left);
        return;
      }
    }
    if (on_left) on_left();
  }
  void End(absl::StatusOr<Response> result) {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(ended_, true)) return;  // then the response is gone too
    on_left_ = nullptr;
    this->Finish(ToGrpcStatus(Store(std::move(result), response_)));
  }

  Response* const response_;
  std::shared_ptr<CancellableCall> self_;  // gRPC's share, until OnDone
  absl::Mutex mutex_;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool left_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> on_left_ ABSL_GUARDED_BY(mutex_);
};

// Callbacks for domain functions that answer from another thread.
inline auto FinishEmpty(grpc::ServerUnaryReactor* reactor) {
  return [reactor](const absl::Status& status) { reactor->Finish(ToGrpcStatus(status)); };
}

template <typename Response>
auto FinishWith(grpc::ServerUnaryReactor* reactor, Response* response) {
  return [reactor, response](absl::StatusOr<Response> result) {
    FaultPoint("reply.before");
    reactor->Finish(ToGrpcStatus(Store(std::move(result), response)));
  };
}

}  // namespace attune::api
