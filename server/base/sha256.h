// SHA-256 (FIPS 180-4) over OpenSSL's EVP. Not thread-safe; copyable state is not needed.
//
//   Sha256 hash; hash.Update(a); hash.Update(b); std::string hex = hash.HexDigest();
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attune {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void Update(std::string_view data);
  std::string HexDigest();  // 64 lower-case hex digits; ends the computation

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string Sha256Hex(std::string_view data);
// Adds a file's content to `hash`, in pieces of 256 KiB.
absl::Status UpdateFromFile(const std::string& path, Sha256& hash);
absl::StatusOr<std::string> Sha256OfFile(const std::string& path);

}  // namespace attune
