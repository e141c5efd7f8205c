// ReportData: everything that a report is made of, as it came from the server. Filled by report_command.cc, by tests
// from text. A value. What could not be had is absent, with a line in `left_out`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "attune/v1/checkpoint.pb.h"
#include "attune/v1/dataset.pb.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/job_event.pb.h"
#include "attune/v1/model.pb.h"
#include "attune/v1/prediction.pb.h"
#include "attune/v1/system.pb.h"

namespace attune::cli {

struct ReportData {
  v1::FineTuningJob job;
  std::vector<v1::MetricPoint> metrics;  // oldest first
  std::vector<v1::JobEvent> events;      // oldest first
  std::optional<v1::Dataset> dataset;
  std::optional<v1::Model> model;
  std::optional<v1::DescribeLayersResponse> layers;  // asked with PatternsOf the job's phases
  std::vector<v1::Checkpoint> checkpoints;
  std::optional<v1::ServerInfo> server;
  std::vector<v1::Device> devices;
  std::optional<v1::CheckpointEvaluation> evaluation;
  std::map<int64_t, std::string> mistake_pictures;  // PNG by row of the evaluated split
  std::map<int64_t, std::string> suspect_pictures;  // PNG by row of the training split
  std::vector<std::string> left_out;                // what is missing, and why
  absl::Time now;
};

// Whether rows are images.
bool HoldsImages(const ReportData& data);

// Whether a number is learnt.
bool IsRegression(const ReportData& data);

// The evaluation whose figures stand for the job: on the test split, else the one made for this report, else the best
// one on the validation split. Null when there is none.
const v1::Evaluation* BestKnownEvaluation(const ReportData& data);

}  // namespace attune::cli
