#include "server/workers/worker_endpoint.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "server/base/errno_status.h"
#include "server/base/str_cat.h"

namespace attune::workers {
namespace {

// Images to predict for are large, and so are predictions of many texts over many classes.
constexpr int kMaxMessageBytes = 64 << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<WorkerEndpoint>> WorkerEndpoint::Start(const std::string& socket_path, grpc::Service& service) {
  if (socket_path.size() >= sizeof(sockaddr_un::sun_path)) {
    return absl::InvalidArgumentError(StrCat("the path of the workers' socket has ", socket_path.size(), " bytes and may have ",
                                             sizeof(sockaddr_un::sun_path) - 1, "; use a data directory with a shorter path: ", socket_path));
  }
  unlink(socket_path.c_str());
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket_path, grpc::InsecureServerCredentials());
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    return absl::UnavailableError(StrCat("cannot listen on ", socket_path, "; is its directory there and writable?"));
  }
  // Whoever connects before this still has no worker's secret.
  if (chmod(socket_path.c_str(), 0600) != 0) return ErrnoStatus(errno, "chmod", socket_path);
  return std::unique_ptr<WorkerEndpoint>(new WorkerEndpoint(socket_path, std::move(server)));
}

WorkerEndpoint::~WorkerEndpoint() {
  // A deadline in the past cancels what is open at once; workers that lose the stream exit.
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  unlink(socket_path_.c_str());
}

}  // namespace attune::workers
