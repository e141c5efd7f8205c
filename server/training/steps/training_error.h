// TrainingError: what stops a job, with whose fault it is. Thrown on the training thread; training/worker makes the job's failure of it. The text says what to do.
//
//   throw TrainingError(FailureCategory::kUser, "step 12: the loss became NaN ...", 12);
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "absl/status/status.h"

namespace attune::training {

// attune.v1.FailureInfo.Category, without protobuf.
enum class FailureCategory { kUser, kData, kResource, kSystem };

class TrainingError : public std::runtime_error {
 public:
  TrainingError(FailureCategory category, const std::string& what, int64_t step = 0)
      : std::runtime_error(what), category_(category), step_(step) {}
  FailureCategory category() const { return category_; }
  int64_t step() const { return step_; }  // optimizer step at which it happened; 0: before the first

 private:
  FailureCategory category_;
  int64_t step_;
};

// The loss or the gradients became NaN or infinite.
class NotFiniteError final : public TrainingError {
 public:
  using TrainingError::TrainingError;
};

// Whose fault an error of a file or a store is: a full disk is RESOURCE, what cannot be read as what it should be is DATA, the rest SYSTEM.
inline FailureCategory CategoryOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      return FailureCategory::kResource;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kOutOfRange:
      return FailureCategory::kData;
    default:
      return FailureCategory::kSystem;
  }
}

inline void ThrowIfError(const absl::Status& status, int64_t step = 0) {
  if (!status.ok()) throw TrainingError(CategoryOf(status), std::string(status.message()), step);
}

}  // namespace attune::training
