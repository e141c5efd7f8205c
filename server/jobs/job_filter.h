// The filter of ListFineTuningJobs: conditions joined by AND over state, base_model, dataset, display_name and labels.KEY. Pure.
//
//   ATTUNE_ASSIGN_OR_RETURN(JobFilter filter, JobFilter::Parse("state = RUNNING AND labels.team = \"nlp\""));
//   if (filter.Matches(job)) ...
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "attune/v1/fine_tuning_job.pb.h"

namespace attune::jobs {

class JobFilter {
 public:
  // INVALID_ARGUMENT that shows the place, and the nearest valid name where there is one. An empty filter matches all.
  static absl::StatusOr<JobFilter> Parse(std::string_view text);
  bool Matches(const v1::FineTuningJob& job) const;

 private:
  enum class Field { kState, kBaseModel, kDataset, kDisplayName, kLabel };
  struct Condition {
    Field field = Field::kState;
    std::string key;    // of a label
    std::string value;  // of a state: its name
  };
  friend class FilterParser;
  std::vector<Condition> conditions_;
};

}  // namespace attune::jobs
