#include "server/auth/jwt/jwks_source.h"

#include <utility>

#include "server/auth/auth_errors.h"
#include "server/base/files.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

constexpr absl::Duration kLook = absl::Seconds(1);  // how often the thread looks at the clock
constexpr absl::Duration kRetryDelay = absl::Seconds(1);

}  // namespace

JwksSource::JwksSource(JwksSourceOptions options, Read read, const Clock& clock) : options_(options), read_(std::move(read)), clock_(clock) {
  if (options_.own_thread) thread_ = std::thread([this] { Run(); });
}

JwksSource::~JwksSource() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void JwksSource::Run() {
  for (;;) {
    RefreshIfDue();
    const auto wake = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || wanted_; };
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&wake), kLook);
    if (stopping_) return;
  }
}

bool JwksSource::IsDue() const {
  const absl::Duration since = clock_.Now() - attempt_time_;
  // Without a set, or after a failure, the least interval is the pace.
  return wanted_ || since >= options_.refresh_interval || (fetch_time_ != attempt_time_ && since >= options_.least_interval);
}

bool JwksSource::RefreshIfDue() {
  {
    absl::MutexLock lock(&mutex_);
    if (!IsDue()) return false;
  }
  Refresh().IgnoreError();  // it has been logged
  return true;
}

absl::Status JwksSource::Refresh() {
  absl::MutexLock fetching(&fetch_mutex_);
  {
    absl::MutexLock lock(&mutex_);
    attempt_time_ = clock_.Now();
  }
  absl::StatusOr<std::string> text = read_();
  absl::StatusOr<std::shared_ptr<const JwkSet>> keys = text.ok() ? JwkSet::Parse(*text) : text.status();
  absl::MutexLock lock(&mutex_);
  wanted_ = false;
  if (keys.ok()) {
    keys_ = *std::move(keys);
    fetch_time_ = attempt_time_;
    return absl::OkStatus();
  }
  ++failures_;
  Log(LogLevel::kWarning, "the token issuer's keys could not be fetched",
      {{"error", std::string(keys.status().message())}, {"keys", keys_ == nullptr ? "none yet: its tokens are refused" : "those of before stay"}});
  return keys.status();
}

absl::StatusOr<Jwk> JwksSource::Find(std::string_view kid) {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = clock_.Now();
  const bool believed = keys_ != nullptr && now - fetch_time_ <= options_.max_age;
  if (believed) {
    if (const Jwk* key = keys_->Find(kid); key != nullptr) return *key;
    if (kid.empty()) return Unauthenticated("JWT_KEY_UNKNOWN", "the JWT names no key (kid), and its issuer has several; have it issued with one");
  }
  if (now - attempt_time_ >= options_.least_interval) wanted_ = true;
  const bool last_failed_or_runs = fetch_time_ != attempt_time_;
  if (wanted_ || !believed || last_failed_or_runs) {
    return NotYet("JWT_KEYS_PENDING", "the keys of the token's issuer are being fetched; try again in a second, and if that lasts, tell the server's operator", kRetryDelay);
  }
  return Unauthenticated("JWT_KEY_UNKNOWN", "the JWT is signed by a key that its issuer does not show: it is of another issuer, or its key has been withdrawn; log in again");
}

absl::Duration JwksSource::age() const {
  absl::MutexLock lock(&mutex_);
  return keys_ == nullptr ? absl::InfiniteDuration() : clock_.Now() - fetch_time_;
}

int64_t JwksSource::failures() const {
  absl::MutexLock lock(&mutex_);
  return failures_;
}

absl::StatusOr<std::string> ReadJwksFile(const std::string& path) { return ReadFile(path, kMaxJwkSetBytes); }

}  // namespace attune::auth
