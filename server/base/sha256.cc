#include "server/base/sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "absl/strings/escaping.h"
#include "server/base/errno_status.h"
#include "server/base/status_macros.h"

namespace attune {
namespace {

// OpenSSL's digest calls fail only when memory is gone or the library is broken; a wrong hash must never be returned.
void CheckOpenSsl(int result) {
  if (result == 1) return;
  std::fputs("attune: OpenSSL cannot compute SHA-256\n", stderr);
  std::abort();
}

}  // namespace

struct Sha256::State {
  State() : context(EVP_MD_CTX_new()) {
    CheckOpenSsl(context != nullptr);
    CheckOpenSsl(EVP_DigestInit_ex(context, EVP_sha256(), nullptr));
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  EVP_MD_CTX* context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(std::string_view data) {
  CheckOpenSsl(EVP_DigestUpdate(state_->context, data.data(), data.size()));
}

std::string Sha256::HexDigest() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  CheckOpenSsl(EVP_DigestFinal_ex(state_->context, digest, &size));
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), size});
}

std::string Sha256Hex(std::string_view data) {
  Sha256 hash;
  hash.Update(data);
  return hash.HexDigest();
}

absl::Status UpdateFromFile(const std::string& path, Sha256& hash) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, "open", path);
  std::vector<char> buffer(256 << 10);
  absl::Status status;
  for (;;) {
    ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = ErrnoStatus(errno, "read", path);
    if (got <= 0) break;
    hash.Update({buffer.data(), static_cast<size_t>(got)});
  }
  close(fd);
  return status;
}

absl::StatusOr<std::string> Sha256OfFile(const std::string& path) {
  Sha256 hash;
  ATTUNE_RETURN_IF_ERROR(UpdateFromFile(path, hash));
  return hash.HexDigest();
}

}  // namespace attune
