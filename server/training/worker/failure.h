// The one place that makes a job's failure of what training throws, and says whose fault it is.
//
//   std::optional<FailureReport> failure = RunGuarded([&] { result = FineTune(spec, paths, reporter, files); });
#pragma once

#include <functional>
#include <optional>

#include "server/training/worker/commands.h"

namespace attune::training {

// Runs `body`; empty when it returned.
//   TrainingError                               its own category and step
//   c10::OutOfMemoryError, std::bad_alloc, the CPU allocator's refusal   RESOURCE, RESOURCE_EXHAUSTED
//   c10::AcceleratorError, CUDA's faults        SYSTEM, INTERNAL; the process is lost
//   std::invalid_argument, c10::ValueError      USER, INVALID_ARGUMENT
//   anything else                               SYSTEM, INTERNAL
std::optional<FailureReport> RunGuarded(const std::function<void()>& body);

}  // namespace attune::training
