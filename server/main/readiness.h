// Readiness: whether the server can keep what it is told: the job store commits and the disk has room. Asked again and again; its changes are logged and passed on. What is told while it is
// not ready is refused or waits as ever: this is for those who choose between servers, and for whoever should know. Thread-safe.
//
//   Readiness readiness({.log = *event_log, .files = Files::Posix(), .directory = directory.path()}, [&](bool ready) { api->SetReady(ready); });
//   PeriodicTask check(absl::Seconds(1), [&] { readiness.Check(); });
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "server/base/files.h"
#include "server/jobs/job_event_log.h"

namespace attune {

struct ReadinessSources {
  const jobs::JobEventLog& log;
  Files& files;
  std::string directory;
  int64_t least_free_bytes = int64_t{64} << 20;
};

class Readiness {
 public:
  // `changed` is called from Check, first when the server is not ready.
  Readiness(ReadinessSources sources, std::function<void(bool)> changed) : sources_(std::move(sources)), changed_(std::move(changed)) {}
  // From one thread.
  void Check();
  bool ready() const { return ready_; }

 private:
  // Empty when all is well.
  std::string Trouble() const;

  const ReadinessSources sources_;
  const std::function<void(bool)> changed_;
  std::atomic<bool> ready_ = true;
};

}  // namespace attune
