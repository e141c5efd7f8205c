#include "server/training/worker/failure.h"

#include <exception>
#include <stdexcept>
#include <string>

#include <c10/util/Exception.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/training/steps/out_of_memory.h"

namespace attune::training {
namespace {

constexpr char kMemoryAdvice[] = "lower batch_size (and raise gradient_accumulation_steps to keep the effective batch), lower max_length, or train fewer layers";

FailureReport Report(FailureCategory category, absl::StatusCode code, std::string message, bool retryable = false) {
  FailureReport report;
  report.category = category;
  report.code = static_cast<int>(code);
  report.message = std::move(message);
  report.retryable = retryable;
  return report;
}

FailureReport OfTrainingError(const TrainingError& error) {
  FailureReport report;
  switch (error.category()) {
    case FailureCategory::kUser:
    case FailureCategory::kData:
      report = Report(error.category(), absl::StatusCode::kInvalidArgument, error.what());
      break;
    case FailureCategory::kResource:
      report = Report(error.category(), absl::StatusCode::kResourceExhausted, error.what(), /*retryable=*/true);
      break;
    case FailureCategory::kSystem:
      report = Report(error.category(), absl::StatusCode::kInternal, error.what(), /*retryable=*/true);
      break;
  }
  report.step = error.step();
  report.not_finite = dynamic_cast<const NotFiniteError*>(&error) != nullptr;
  return report;
}

FailureReport OutOfMemory(const std::string& what) {
  return Report(FailureCategory::kResource, absl::StatusCode::kResourceExhausted, absl::StrCat("memory ran out (", what, "); ", kMemoryAdvice));
}

FailureReport DeviceLost(const std::string& what) {
  FailureReport report = Report(FailureCategory::kSystem, absl::StatusCode::kInternal,
                                absl::StrCat("the device failed (", what, "); the job can go on from its last checkpoint in a new process"), /*retryable=*/true);
  report.process_lost = true;
  return report;
}

// What c10::Error and its kin say without the C++ stack, which helps nobody who reads a job's status.
std::string FirstLine(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  return text.substr(0, text.find('\n'));
}

FailureReport OfTorchError(const c10::Error& error) {
  const std::string what = FirstLine(error);
  if (IsOutOfMemory(error)) return OutOfMemory(what);
  if (absl::StrContains(what, "CUDA error") || absl::StrContains(what, "CUBLAS_STATUS") || absl::StrContains(what, "cuDNN error")) return DeviceLost(what);
  return Report(FailureCategory::kSystem, absl::StatusCode::kInternal, absl::StrCat("the engine failed: ", what));
}

}  // namespace

std::optional<FailureReport> RunGuarded(const std::function<void()>& body) {
  try {
    body();
    return std::nullopt;
  } catch (const TrainingError& error) {
    return OfTrainingError(error);
  } catch (const c10::AcceleratorError& error) {
    return DeviceLost(FirstLine(error));
  } catch (const c10::ValueError& error) {
    return Report(FailureCategory::kUser, absl::StatusCode::kInvalidArgument, FirstLine(error));
  } catch (const c10::Error& error) {
    return OfTorchError(error);
  } catch (const std::invalid_argument& error) {
    return Report(FailureCategory::kUser, absl::StatusCode::kInvalidArgument, error.what());
  } catch (const std::exception& error) {
    if (IsOutOfMemory(error)) return OutOfMemory("an allocation was refused");
    return Report(FailureCategory::kSystem, absl::StatusCode::kInternal, error.what());
  } catch (...) {
    return Report(FailureCategory::kSystem, absl::StatusCode::kInternal, "the worker failed with an exception of an unknown kind; its log may say more");
  }
}

}  // namespace attune::training
