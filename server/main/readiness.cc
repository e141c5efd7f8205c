#include "server/main/readiness.h"

#include "server/base/log.h"
#include "server/base/str_cat.h"

namespace attune {

std::string Readiness::Trouble() const {
  if (sources_.log.Failing()) return "the job store cannot commit";
  const absl::StatusOr<int64_t> free = sources_.files.FreeBytes(sources_.directory);
  if (!free.ok()) return StrCat("the data directory cannot be looked at: ", std::string(free.status().message()));
  if (*free < sources_.least_free_bytes) return StrCat("the data directory's disk has ", *free, " bytes left");
  return "";
}

void Readiness::Check() {
  const std::string trouble = Trouble();
  const bool ready = trouble.empty();
  if (ready == ready_.exchange(ready)) return;
  Log(ready ? LogLevel::kInfo : LogLevel::kError, ready ? "ready again" : "not ready", {{"why", trouble}});
  changed_(ready);
}

}  // namespace attune
