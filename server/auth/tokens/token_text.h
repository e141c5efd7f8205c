// The text of an API token: attune_{id}_{secret}. The id is public (it is shown in lists and logs) and the secret is 256 random bits in hex, so that a token can be chosen with a double click, needs no
// escaping anywhere, and is found by scanners of repositories by its prefix. Pure but for the randomness.
//
//   TokenText token = NewTokenText();
//   Reply(token.ToText());                       // once
//   Store(token.id, token.Hash());               // for ever
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attune::auth {

struct TokenText {
  std::string id;
  std::string secret;  // 64 lower-case hex digits

  std::string ToText() const;

  // 32 bytes: SHA-256 of the whole text, so that a hash fits no other id. A slow hash (bcrypt, Argon2) guards passwords, which can be guessed; nobody guesses 256 random bits, and a slow one would
  // cost each call milliseconds and give strangers a way to keep the processor busy.
  std::string Hash() const;
};

TokenText NewTokenText();

// UNAUTHENTICATED with CREDENTIALS_MALFORMED, which says whether the text was cut, without repeating it.
absl::StatusOr<TokenText> ParseTokenText(std::string_view text);

// Whether both are the same, in a time that depends on their lengths alone.
bool EqualInConstantTime(std::string_view a, std::string_view b);

}  // namespace attune::auth
