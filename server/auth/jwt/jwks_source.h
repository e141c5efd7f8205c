// JwksSource: an issuer's keys as they are now, from a file or an https URL. Whoever checks a token never waits: it reads the set in memory, and a thread of this object fetches. Owned by main.
// Thread-safe.
//
// The set is fetched at the start, every `refresh_interval`, and when a token names a key that it does not have (issuers rotate theirs), but for that not more often than each `least_interval`: kids
// come from strangers, and must not make this server call its issuer at their pleasure. When fetching fails, or brings what is no key set, the old set stays and a log line says so, but for no
// longer than `max_age`: a key that was withdrawn must stop to count, also for a server that cannot hear of it.
//
//   JwksSource keys({}, [] { return FetchHttps({}, "https://issuer.example/jwks.json"); }, clock);
//   ATTUNE_ASSIGN_OR_RETURN(Jwk key, keys.Find(kid));
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/auth/jwt/jwk_set.h"
#include "server/base/clock.h"

namespace attune::auth {

struct JwksSourceOptions {
  absl::Duration refresh_interval = absl::Minutes(10);
  absl::Duration least_interval = absl::Seconds(30);  // between two fetches that tokens ask for
  absl::Duration max_age = absl::Hours(24);           // of a set that is still believed
  bool own_thread = true;                             // false: tests call RefreshIfDue
};

class JwksSource {
 public:
  using Read = std::function<absl::StatusOr<std::string>()>;  // blocks; one call at a time

  // `clock` must outlive this object. Begins to fetch at once, and waits for nothing.
  JwksSource(JwksSourceOptions options, Read read, const Clock& clock);
  ~JwksSource();  // waits for a fetch that is going on
  JwksSource(const JwksSource&) = delete;
  JwksSource& operator=(const JwksSource&) = delete;

  // UNAVAILABLE with a retry delay while the set that may have the key is being fetched, or could not be; UNAUTHENTICATED with JWT_KEY_UNKNOWN where it has none of that name.
  absl::StatusOr<Jwk> Find(std::string_view kid);

  // Fetches now, and says how that went: for a start that should fail when its issuer cannot be asked.
  absl::Status Refresh();
  // What the thread does: fetches when it is time or a token has asked. Returns whether it did.
  bool RefreshIfDue();

  absl::Duration age() const;  // of the set; InfiniteDuration when there is none
  int64_t failures() const;    // fetches that brought nothing, since the start

 private:
  bool IsDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run();

  const JwksSourceOptions options_;
  const Read read_;
  const Clock& clock_;
  absl::Mutex fetch_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable absl::Mutex mutex_;
  std::shared_ptr<const JwkSet> keys_ ABSL_GUARDED_BY(mutex_);  // null before the first success
  absl::Time fetch_time_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();    // of keys_
  absl::Time attempt_time_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();  // of the last try
  bool wanted_ ABSL_GUARDED_BY(mutex_) = false;                             // a token named a key that is not here
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t failures_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

// A key set in a file, for JwksSource: bounded, and read anew at each refresh.
absl::StatusOr<std::string> ReadJwksFile(const std::string& path);

}  // namespace attune::auth
