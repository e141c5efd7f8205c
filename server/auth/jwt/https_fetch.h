// FetchHttps: one GET of a small document, bounded in everything: https only, by a server whose certificate is checked, no redirects (they could lead anywhere), a size and a time that are not
// exceeded whatever the server does. A face of libcurl. Thread-safe; blocks.
//
// Errors: INVALID_ARGUMENT for a URL that is not https; UNAVAILABLE when the server cannot be reached, is not who it should be or answers with another status than 200; RESOURCE_EXHAUSTED for more
// bytes than allowed; DEADLINE_EXCEEDED.
//
//   ATTUNE_ASSIGN_OR_RETURN(std::string text, FetchHttps({.max_bytes = kMaxJwkSetBytes}, "https://issuer.example/jwks.json"));
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace attune::auth {

struct HttpsOptions {
  size_t max_bytes = 256 << 10;
  absl::Duration timeout = absl::Seconds(10);  // of all of it
  std::string ca_file;                         // PEM; empty: the system's
};

// OK for a URL that FetchHttps takes; INVALID_ARGUMENT otherwise.
absl::Status CheckHttpsUrl(const std::string& url);

absl::StatusOr<std::string> FetchHttps(const HttpsOptions& options, const std::string& url);

}  // namespace attune::auth
