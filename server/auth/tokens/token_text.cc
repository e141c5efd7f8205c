#include "server/auth/tokens/token_text.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "server/auth/auth_errors.h"
#include "server/base/ids.h"
#include "server/base/sha256.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

constexpr std::string_view kPrefix = "attune_";
constexpr size_t kIdLength = 17;
constexpr size_t kSecretLength = 64;

bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
bool IsIdCharacter(char c) { return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7'); }

absl::Status Malformed(std::string_view what) { return Unauthenticated("CREDENTIALS_MALFORMED", StrCat(what, "; an API token is attune_, an id, _ and 64 hex digits: copy it whole, as it was shown when it was made")); }

}  // namespace

std::string TokenText::ToText() const { return StrCat(kPrefix, id, "_", secret); }

std::string TokenText::Hash() const { return absl::HexStringToBytes(Sha256Hex(ToText())); }

TokenText NewTokenText() { return {.id = NewId('t'), .secret = NewSecret()}; }

absl::StatusOr<TokenText> ParseTokenText(std::string_view text) {
  constexpr size_t kLength = kPrefix.size() + kIdLength + 1 + kSecretLength;
  if (text.substr(0, kPrefix.size()) != kPrefix) return Malformed("this is not an API token");
  if (text.size() != kLength) return Malformed(StrCat("the API token is ", text.size() < kLength ? "cut" : "too long", " (", text.size(), " characters, not ", kLength, ")"));
  const std::string_view id = text.substr(kPrefix.size(), kIdLength);
  const std::string_view secret = text.substr(kLength - kSecretLength);
  if (id[0] != 't' || !std::all_of(id.begin(), id.end(), IsIdCharacter) || text[kLength - kSecretLength - 1] != '_' || !std::all_of(secret.begin(), secret.end(), IsHex)) {
    return Malformed("the API token has characters that no token has");
  }
  return TokenText{.id = std::string(id), .secret = std::string(secret)};
}

bool EqualInConstantTime(std::string_view a, std::string_view b) { return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

}  // namespace attune::auth
