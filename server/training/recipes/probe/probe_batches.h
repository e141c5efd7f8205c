// ProbeBatches: the batches that a probe runs: chosen rows, as texts or pixels, or as the frozen layers' output. The training thread alone. Throws what batches and model throw.
//
//   ProbeBatches batches(setup, spec);
//   std::unique_ptr<BatchSource> source = batches.Chosen(examples::Split::kTrain, rows, /*batch_size=*/32, /*plain=*/true);
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/recipes/job_setup.h"

namespace attune::training {

inline constexpr int64_t kPrefixBatch = 32;  // as the feature cache's

class ProbeBatches {
 public:
  // Both must outlive it.
  ProbeBatches(const JobSetup& setup, const FineTuneSpec& spec) : setup_(setup), spec_(spec) {}

  // The rows of a phase's epochs, in order, as far as its steps go; of many epochs the first.
  std::vector<std::vector<int64_t>> Orders(int phase) const;
  // `plain`: images are not changed at random.
  std::unique_ptr<BatchSource> Chosen(examples::Split split, std::vector<int64_t> rows, int64_t batch_size, bool plain) const;
  // The same with the frozen layers' output in place of texts or pixels, computed as the feature cache does, a few rows at a time.
  std::unique_ptr<BatchSource> WithPrefix(examples::Split split, const std::vector<int64_t>& rows, int64_t batch_size, bool plain, int groups) const;

 private:
  const JobSetup& setup_;
  const FineTuneSpec& spec_;
};

}  // namespace attune::training
