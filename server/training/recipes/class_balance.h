// What a job does about classes of unequal size: weights for its task's loss, or an order of rows for its batches. Throws std::invalid_argument.
//
//   const ClassBalancing balancing = BalanceClasses(spec, *reader, reporter);
//   TaskOptions{.labels = labels, .class_weights = balancing.weights};
//   BatchRowsOptions{.rows = rows, .order = balancing.order};
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "server/examples/example.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/recipes/job_reporter.h"

namespace attune::training {

struct ClassBalancing {
  std::vector<double> weights;                                // in label order; empty: all 1
  std::function<std::vector<int64_t>(int64_t epoch)> order;  // of the training rows; null: each once
};

// Reads the training rows' labels where spec.class_balance asks for them. Weights that were computed, and classes that have no row, are said in the job's log.
ClassBalancing BalanceClasses(const FineTuneSpec& spec, const examples::ExampleReader& reader, JobReporter& reporter);

}  // namespace attune::training
