// Checks of requests that need nothing but the request. Every fault is collected and names its field, so that a user mends all of them at once.
// What needs a model, a dataset or a job to be judged is judged by their owners. Not thread-safe (one object a request); the functions are pure.
//
//   RequestCheck check;
//   check.Name("name", request->name(), "uploads");
//   check.Range("size_bytes", request->size_bytes(), 1, max, "the file's size");
//   ATTUNE_RETURN_IF_ERROR(check.status());    // INVALID_ARGUMENT with a google.rpc.BadRequest
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/rpc/error_details.pb.h"

namespace attune::api {

class RequestCheck {
 public:
  // A fault: what is wrong and what to do.
  void Violate(std::string_view field, std::string_view description);

  // collection/{id}.
  void Name(std::string_view field, std::string_view value, std::string_view collection);
  // collection/{id}, or empty.
  void OptionalName(std::string_view field, std::string_view value, std::string_view collection);
  // fineTuningJobs/{j}/checkpoints/{step}, and with `aliases` best or last in place of a step.
  void CheckpointName(std::string_view field, std::string_view value, bool aliases);
  // A new resource's id, or empty.
  void OptionalId(std::string_view field, std::string_view value);
  void NotEmpty(std::string_view field, std::string_view value, std::string_view what);
  // At most `bytes` bytes and no control characters.
  void Text(std::string_view field, std::string_view value, size_t bytes);
  void Range(std::string_view field, int64_t value, int64_t least, int64_t most, std::string_view what);
  // Absent, or at most 128 printable characters.
  void RequestId(std::string_view value);
  // page_size not under 0.
  void PageSize(int64_t value);

  // OK, or all faults; the message holds the first.
  absl::Status status() const;

 private:
  google::rpc::BadRequest faults_;
};

// page_size as asked for: 0 becomes `standard`, and no more than `most`.
int32_t EffectivePageSize(int32_t asked, int32_t standard, int32_t most);

// A checkpoint's name in parts; step is a number, "best" or "last".
struct CheckpointParts {
  std::string job;  // fineTuningJobs/{j}
  std::string step;
};
absl::StatusOr<CheckpointParts> ParseCheckpointName(std::string_view name);

}  // namespace attune::api
