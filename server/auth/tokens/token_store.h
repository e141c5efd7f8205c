// TokenStore: the API tokens of a server, in its database, and the Authenticator that believes them. Owned by main; the database must outlive it. Thread-safe.
//
// All tokens are held in memory too (the data directory's lock makes this server the only writer), so a call costs one SHA-256 and a look-up, never a read of the database; and a token is revoked, for
// the next call, at the moment that Revoke's transaction is durable. What the database holds of a secret is its hash (token_text.h). When a token was last used is kept in memory
// at each call and written by FlushLastUsed, to the hour: of interest is whether a token is still in use, not how often.
//
// Errors: those of database.h. Create: INVALID_ARGUMENT for a name, project, scope or time that cannot be; RESOURCE_EXHAUSTED for too many tokens. Revoke and Find: NOT_FOUND.
// Authenticate: UNAUTHENTICATED with CREDENTIALS_MALFORMED, TOKEN_UNKNOWN (no such id, or another secret: strangers learn not which), and for whoever knows the secret TOKEN_REVOKED or
// TOKEN_EXPIRED.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto tokens, TokenStore::Create(database, clock));
//   ATTUNE_ASSIGN_OR_RETURN(NewToken made, tokens->CreateToken({.name = "ci", .projects = {"team-a"}, .scopes = {Scope::kWrite}}));
//   Show(made.text);   // now or never
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/auth/authenticator.h"
#include "server/base/clock.h"
#include "server/database/database.h"

namespace attune::auth {

struct TokenSpec {
  std::string name;  // for people: 1 to 63 characters; need not be unique
  std::vector<std::string> projects;
  ScopeSet scopes;
  absl::Time expire_time = absl::InfiniteFuture();  // InfiniteFuture: never
};

// What is known of a token, without its secret.
struct TokenInfo {
  int64_t number = 0;  // in order of creation, from 1
  std::string id;
  TokenSpec spec;
  absl::Time create_time;
  absl::Time revoke_time = absl::InfiniteFuture();    // InfiniteFuture: not revoked
  absl::Time last_used_time = absl::InfinitePast();   // InfinitePast: never; to the hour after a restart
};

struct NewToken {
  TokenInfo info;
  std::string text;  // the whole token, which nobody can read again
};

struct TokenPage {
  std::vector<TokenInfo> tokens;  // newest first
  std::string next_page_token;    // "": that was all
};

inline constexpr int64_t kMaxTokens = 10'000;  // of those not revoked, so that memory stays bounded

class TokenStore final : public Authenticator {
 public:
  static absl::StatusOr<std::unique_ptr<TokenStore>> Create(Database& database, const Clock& clock);

  absl::StatusOr<NewToken> CreateToken(const TokenSpec& spec);
  // page_size over 0. INVALID_ARGUMENT for a page_token of another list.
  absl::StatusOr<TokenPage> List(int page_size, std::string_view page_token);
  absl::StatusOr<TokenInfo> Find(const std::string& id);
  // Again is harmless: the first time counts.
  absl::StatusOr<TokenInfo> Revoke(const std::string& id);

  absl::StatusOr<Identity> Authenticate(const Credentials& credentials) override;
  // For calls that Authenticate has let in: UNAUTHENTICATED (TOKEN_REVOKED) since their token was revoked, else OK, also for what is no token of this server. Not a use of the token.
  absl::Status CheckRevoked(const std::string& bearer_token) const;

  // Writes what calls have left in memory, in one transaction, where it moved by an hour or more. For upkeep, and before the end.
  absl::Status FlushLastUsed();

  int64_t active() const;  // tokens that are neither revoked nor expired

 private:
  struct Entry {
    TokenInfo info;
    std::string hash;
    std::atomic<int64_t> last_used_us{0};  // 0: never
    int64_t stored_last_used_us = 0;       // guarded by flush_mutex_
  };

  TokenStore(Database& database, const Clock& clock) : database_(database), clock_(clock) {}
  absl::Status Load();
  std::shared_ptr<Entry> Lookup(const std::string& id) const;
  static TokenInfo InfoOf(const Entry& entry);

  Database& database_;
  const Clock& clock_;
  absl::Mutex change_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);  // one change at a time: the database first, memory next
  absl::Mutex flush_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<Entry>> by_id_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, std::shared_ptr<Entry>, std::greater<>> by_number_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::auth
