#include "server/auth/tokens/token_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/auth/auth_errors.h"
#include "server/auth/tokens/token_text.h"
#include "server/base/page_token.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/base/utf8.h"

namespace attune::auth {
namespace {

constexpr char kListScope[] = "tokens";
constexpr size_t kMaxNameBytes = 63;
constexpr absl::Duration kLastUsedStep = absl::Hours(1);

// Applied in order; a released one is never edited. Revoked tokens stay: the audit log speaks of their ids.
const std::vector<std::string>& Migrations() {
  static const auto* const migrations = new std::vector<std::string>{
      R"(CREATE TABLE auth_tokens(
           number INTEGER PRIMARY KEY AUTOINCREMENT,
           id TEXT UNIQUE NOT NULL,
           hash BLOB NOT NULL,
           name TEXT NOT NULL,
           projects TEXT NOT NULL,
           scopes TEXT NOT NULL,
           create_time_us INTEGER NOT NULL,
           expire_time_us INTEGER,
           revoke_time_us INTEGER,
           last_used_time_us INTEGER NOT NULL))"};
  return *migrations;
}

absl::Time TimeOrNever(const SqlRow& row, int column) { return row.IsNull(column) ? absl::InfiniteFuture() : absl::FromUnixMicros(row.Int(column)); }

SqlValue MicrosOrNull(absl::Time time) {
  if (time == absl::InfiniteFuture()) return nullptr;
  return absl::ToUnixMicros(time);
}

absl::Status CheckSpec(const TokenSpec& spec, absl::Time now) {
  if (spec.name.empty() || spec.name.size() > kMaxNameBytes || FirstInvalidUtf8(spec.name).has_value() ||
      std::any_of(spec.name.begin(), spec.name.end(), [](char c) { return (c >= 0 && c < ' ') || c == 127; })) {
    return absl::InvalidArgumentError(StrCat("name: say in 1 to ", kMaxNameBytes, " bytes of text, without control characters, who will use the token"));
  }
  ATTUNE_RETURN_IF_ERROR(CheckProjects(spec.projects));
  if (spec.scopes.empty()) return absl::InvalidArgumentError("scopes: name at least one of read, write, admin");
  if (spec.expire_time <= now) return absl::InvalidArgumentError("expire_time: is over already; give a time to come, or none for a token that does not expire");
  return absl::OkStatus();
}

absl::Status NoSuchToken(std::string_view id) { return absl::NotFoundError(StrCat("tokens/", id, " does not exist; list the tokens to see their ids")); }

std::string Day(absl::Time time) { return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone()); }

absl::Status CheckNotRevoked(const TokenInfo& info) {
  if (info.revoke_time == absl::InfiniteFuture()) return absl::OkStatus();
  return Unauthenticated("TOKEN_REVOKED", StrCat("the API token ", info.id, " was revoked on ", Day(info.revoke_time), "; ask an administrator for a new one"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokenStore>> TokenStore::Create(Database& database, const Clock& clock) {
  std::unique_ptr<TokenStore> store(new TokenStore(database, clock));
  ATTUNE_RETURN_IF_ERROR(database.Migrate("auth_tokens", Migrations()));
  ATTUNE_RETURN_IF_ERROR(store->Load());
  return store;
}

absl::Status TokenStore::Load() {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<SqlRow> rows, database_.Query("SELECT number, id, hash, name, projects, scopes, create_time_us, expire_time_us, revoke_time_us, last_used_time_us "
                                                                    "FROM auth_tokens ORDER BY number"));
  absl::MutexLock lock(&mutex_);
  for (const SqlRow& row : rows) {
    auto entry = std::make_shared<Entry>();
    ATTUNE_ASSIGN_OR_RETURN(ScopeSet scopes, ParseScopes(row.Text(5)));
    entry->info = {.number = row.Int(0),
                   .id = row.Text(1),
                   .spec = {.name = row.Text(3), .projects = absl::StrSplit(row.Text(4), ','), .scopes = scopes, .expire_time = TimeOrNever(row, 7)},
                   .create_time = absl::FromUnixMicros(row.Int(6)),
                   .revoke_time = TimeOrNever(row, 8)};
    entry->hash = row.Bytes(2);
    entry->last_used_us = entry->stored_last_used_us = row.Int(9);
    by_id_[entry->info.id] = entry;
    by_number_[entry->info.number] = entry;
  }
  return absl::OkStatus();
}

std::shared_ptr<TokenStore::Entry> TokenStore::Lookup(const std::string& id) const {
  absl::ReaderMutexLock lock(&mutex_);
  auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

TokenInfo TokenStore::InfoOf(const Entry& entry) {
  TokenInfo info = entry.info;
  if (const int64_t used = entry.last_used_us.load(std::memory_order_relaxed); used > 0) info.last_used_time = absl::FromUnixMicros(used);
  return info;
}

absl::StatusOr<NewToken> TokenStore::CreateToken(const TokenSpec& spec) {
  const absl::Time now = clock_.Now();
  ATTUNE_RETURN_IF_ERROR(CheckSpec(spec, now));
  const TokenText text = NewTokenText();
  auto entry = std::make_shared<Entry>();
  entry->info = {.id = text.id, .spec = spec, .create_time = now};
  entry->hash = text.Hash();
  absl::MutexLock changing(&change_mutex_);
  if (active() >= kMaxTokens) return absl::ResourceExhaustedError(StrCat("there are ", kMaxTokens, " tokens in use; revoke those that nobody needs"));
  Transaction transaction = database_.Begin();
  ATTUNE_RETURN_IF_ERROR(transaction
                             .Execute("INSERT INTO auth_tokens(id, hash, name, projects, scopes, create_time_us, expire_time_us, last_used_time_us) VALUES(?, ?, ?, ?, ?, ?, ?, 0)",
                                      {text.id, Blob{entry->hash}, spec.name, absl::StrJoin(spec.projects, ","), ScopesToText(spec.scopes), absl::ToUnixMicros(now), MicrosOrNull(spec.expire_time)})
                             .status());
  ATTUNE_ASSIGN_OR_RETURN(std::vector<SqlRow> rows, transaction.Query("SELECT number FROM auth_tokens WHERE id = ?", {text.id}));
  if (rows.size() != 1) return absl::InternalError("the new token is not in the database");
  entry->info.number = rows[0].Int(0);
  ATTUNE_RETURN_IF_ERROR(transaction.Commit());
  absl::MutexLock lock(&mutex_);
  by_id_[text.id] = entry;
  by_number_[entry->info.number] = entry;
  return NewToken{.info = entry->info, .text = text.ToText()};
}

absl::StatusOr<TokenPage> TokenStore::List(int page_size, std::string_view page_token) {
  ATTUNE_ASSIGN_OR_RETURN(std::string cursor, ReadPageToken(kListScope, page_token));
  int64_t before = 0;
  if (!cursor.empty() && !absl::SimpleAtoi(cursor, &before)) return absl::InvalidArgumentError("page_token: is of another version of this server; start the list over");
  TokenPage page;
  absl::ReaderMutexLock lock(&mutex_);
  auto next = cursor.empty() ? by_number_.begin() : by_number_.upper_bound(before);
  for (; next != by_number_.end() && page.tokens.size() < static_cast<size_t>(page_size); ++next) page.tokens.push_back(InfoOf(*next->second));
  if (next != by_number_.end() && !page.tokens.empty()) page.next_page_token = MakePageToken(kListScope, StrCat(page.tokens.back().number));
  return page;
}

absl::StatusOr<TokenInfo> TokenStore::Find(const std::string& id) {
  absl::ReaderMutexLock lock(&mutex_);
  auto found = by_id_.find(id);
  if (found == by_id_.end()) return NoSuchToken(id);
  return InfoOf(*found->second);
}

absl::StatusOr<TokenInfo> TokenStore::Revoke(const std::string& id) {
  absl::MutexLock changing(&change_mutex_);
  ATTUNE_ASSIGN_OR_RETURN(TokenInfo info, Find(id));
  if (info.revoke_time != absl::InfiniteFuture()) return info;
  info.revoke_time = clock_.Now();
  ATTUNE_RETURN_IF_ERROR(database_.Execute("UPDATE auth_tokens SET revoke_time_us = ? WHERE id = ?", {absl::ToUnixMicros(info.revoke_time), id}).status());
  // Entries are replaced, not changed: whoever looks one up reads it without a lock.
  auto revoked = std::make_shared<Entry>();
  revoked->info = info;
  absl::MutexLock lock(&mutex_);
  const std::shared_ptr<Entry>& entry = by_id_[id];
  revoked->hash = entry->hash;
  revoked->last_used_us = entry->last_used_us.load();
  revoked->stored_last_used_us = revoked->last_used_us;  // what the last hour brought is not worth a write
  by_number_[info.number] = revoked;
  by_id_[id] = revoked;
  return info;
}

absl::Status TokenStore::CheckRevoked(const std::string& bearer_token) const {
  const absl::StatusOr<TokenText> text = ParseTokenText(bearer_token);
  const std::shared_ptr<Entry> entry = text.ok() ? Lookup(text->id) : nullptr;
  return entry == nullptr ? absl::OkStatus() : CheckNotRevoked(entry->info);
}

absl::StatusOr<Identity> TokenStore::Authenticate(const Credentials& credentials) {
  ATTUNE_ASSIGN_OR_RETURN(TokenText text, ParseTokenText(credentials.bearer_token));
  const std::string hash = text.Hash();
  const std::shared_ptr<Entry> entry = Lookup(text.id);
  if (entry == nullptr || !EqualInConstantTime(entry->hash, hash)) {
    return Unauthenticated("TOKEN_UNKNOWN", "this server has no such API token: check that it was copied whole and is meant for this server, or ask an administrator for a new one");
  }
  const TokenInfo& info = entry->info;
  ATTUNE_RETURN_IF_ERROR(CheckNotRevoked(info));
  const absl::Time now = clock_.Now();
  if (now >= info.spec.expire_time) {
    return Unauthenticated("TOKEN_EXPIRED", StrCat("the API token ", info.id, " expired on ", Day(info.spec.expire_time), "; ask an administrator for a new one"));
  }
  entry->last_used_us.store(absl::ToUnixMicros(now), std::memory_order_relaxed);
  return Identity{.subject = info.spec.name, .kind = IdentityKind::kToken, .projects = info.spec.projects, .scopes = info.spec.scopes, .credential_id = info.id};
}

absl::Status TokenStore::FlushLastUsed() {
  absl::MutexLock flushing(&flush_mutex_);
  std::vector<std::pair<std::shared_ptr<Entry>, int64_t>> moved;
  {
    absl::ReaderMutexLock lock(&mutex_);
    for (const auto& [id, entry] : by_id_) {
      const int64_t used = entry->last_used_us.load(std::memory_order_relaxed);
      if (used - entry->stored_last_used_us >= absl::ToInt64Microseconds(kLastUsedStep)) moved.emplace_back(entry, used);
    }
  }
  if (moved.empty()) return absl::OkStatus();
  Transaction transaction = database_.Begin();
  for (const auto& [entry, used] : moved) {
    ATTUNE_RETURN_IF_ERROR(transaction.Execute("UPDATE auth_tokens SET last_used_time_us = ? WHERE id = ?", {used, entry->info.id}).status());
  }
  ATTUNE_RETURN_IF_ERROR(transaction.Commit());
  for (const auto& [entry, used] : moved) entry->stored_last_used_us = used;
  return absl::OkStatus();
}

int64_t TokenStore::active() const {
  const absl::Time now = clock_.Now();
  absl::ReaderMutexLock lock(&mutex_);
  return std::count_if(by_id_.begin(), by_id_.end(), [now](const auto& item) {
    const TokenInfo& info = item.second->info;
    return info.revoke_time == absl::InfiniteFuture() && now < info.spec.expire_time;
  });
}

}  // namespace attune::auth
