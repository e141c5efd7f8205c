// Field violations: what is wrong with a request, field by field, as an absl::Status that api/ turns into google.rpc.BadRequest. Pure.
//
//   return ViolationsStatus({{"spec.dataset", "datasets/x has no training rows; import one that has"}});
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace attune::jobs {

struct FieldViolation {
  std::string field;        // "spec.hyperparameters.n_epochs"
  std::string description;  // what is wrong and what to do
};

// Payload of the statuses below: a serialised google.rpc.BadRequest.
inline constexpr char kBadRequestPayload[] = "google.rpc.BadRequest";

// INVALID_ARGUMENT with the payload; its message lists the violations too. OK when there are none.
absl::Status ViolationsStatus(const std::vector<FieldViolation>& violations);

// The violations of a status made by ViolationsStatus; empty for any other.
std::vector<FieldViolation> ViolationsOf(const absl::Status& status);

}  // namespace attune::jobs
