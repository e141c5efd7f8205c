#include "server/main/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "server/base/str_cat.h"

namespace attune {
namespace {

bool IsLoopback(const std::string& host) {
  in_addr v4 = {};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6 = {};
  if (inet_pton(AF_INET6, host.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
  return host == "localhost";
}

}  // namespace

absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  if (absl::StartsWith(AbslView(text), AbslView(kUnix))) {
    if (text.size() == kUnix.size()) return absl::InvalidArgumentError("must have a path after unix:");
    return ListenAddress{.unix_socket = true, .loopback = true};
  }
  size_t colon = text.rfind(':');
  std::string_view host = text.substr(0, colon == text.npos ? 0 : colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != host.npos) {
    return absl::InvalidArgumentError("must have IPv6 addresses in brackets: [::1]:50051");
  }
  int port = 0;
  if (host.empty() || !absl::SimpleAtoi(AbslView(text.substr(colon + 1)), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError("must be HOST:PORT with a port from 0 to 65535, for example 127.0.0.1:50051, or unix:PATH");
  }
  ListenAddress address = {.host = std::string(host), .port = port};
  address.loopback = IsLoopback(address.host);
  return address;
}

}  // namespace attune
