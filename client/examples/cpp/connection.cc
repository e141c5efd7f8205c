#include "client/examples/cpp/connection.h"

#include <algorithm>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "google/rpc/error_details.pb.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace example {
namespace {

constexpr int kMaxRetries = 5;
constexpr std::chrono::milliseconds kFirstBackoff(200);

std::string Describe(const grpc::Status& status) {
  std::string text = "code " + std::to_string(status.error_code()) + ": " + status.error_message();
  if (const auto request = FindDetail<google::rpc::BadRequest>(status))
    for (const auto& fault : request->field_violations()) text += "; " + fault.field() + ": " + fault.description();
  return text;
}

std::chrono::nanoseconds Delay(const grpc::Status& status, int retries) {
  if (const auto info = FindDetail<google::rpc::RetryInfo>(status))
    return std::chrono::seconds(info->retry_delay().seconds()) + std::chrono::nanoseconds(info->retry_delay().nanos());
  static thread_local std::minstd_rand random(std::random_device{}());
  const std::chrono::nanoseconds backoff = kFirstBackoff * (1 << retries);
  return backoff / 2 + std::chrono::nanoseconds(std::uniform_int_distribution<int64_t>(0, backoff.count() / 2)(random));
}

}  // namespace

CallError::CallError(const grpc::Status& status) : std::runtime_error(Describe(status)), status_(status) {}

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address, const std::string& ca_file,
                                           const std::string& token) {
  if (ca_file.empty()) return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = ReadFile(ca_file);
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::SslCredentials(options);
  if (!token.empty()) credentials = grpc::CompositeChannelCredentials(credentials, grpc::AccessTokenCredentials(token));
  return grpc::CreateChannel(address, credentials);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file || !content) throw std::runtime_error("cannot read " + path);
  return content.str();
}

void Retry(const std::function<grpc::Status()>& attempt, std::initializer_list<grpc::StatusCode> codes) {
  for (int retries = 0;; ++retries) {
    const grpc::Status status = attempt();
    if (status.ok()) return;
    const bool transient = status.error_code() == grpc::StatusCode::UNAVAILABLE || FindDetail<google::rpc::RetryInfo>(status) ||
                           std::find(codes.begin(), codes.end(), status.error_code()) != codes.end();
    if (!transient || retries == kMaxRetries) throw CallError(status);
    std::this_thread::sleep_for(Delay(status, retries));
  }
}

}  // namespace example
