// The file that says what projects may take (option quotas_file): a map `default`, of projects that are not named, and a map `projects` of maps by id. A number that is left out, or 0, is no limit.
//
//   default: {requests_per_second: 50, watchers: 200, uploads: 20, queued_jobs: 100}
//   projects:
//     vision: {stored_bytes: 2000000000000, running_jobs: 4}
//
// Pure. Errors: INVALID_ARGUMENT with every fault, a line each: "quotas.yaml:3: ...".
//
//   ATTUNE_ASSIGN_OR_RETURN(auth::QuotaOptions quotas, ParseQuotas(yaml, "quotas.yaml"));
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/auth/quotas.h"

namespace attune {

absl::StatusOr<auth::QuotaOptions> ParseQuotas(const std::string& yaml, std::string_view shown_path);

}  // namespace attune
