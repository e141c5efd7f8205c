// Addresses to listen on, in parts. Pure.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attune {

struct ListenAddress {
  std::string host;          // without brackets; empty for a Unix socket
  int port = 0;              // 0: a free one
  bool unix_socket = false;
  bool loopback = false;     // only this machine can reach it
};

// HOST:PORT, [IPV6]:PORT or unix:PATH. INVALID_ARGUMENT whose message goes on after the option's name ("must be ...").
absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text);

}  // namespace attune
