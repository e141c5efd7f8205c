// The job's settings: every value that was in force, and whether the user gave it or the server filled it in. Goes
// through the messages' fields by reflection, so that a new field of the spec appears by itself. Pure.
#pragma once

#include <string>
#include <vector>

#include "attune/v1/training_spec.pb.h"
#include "client/cli/report/markup/html.h"
#include "client/cli/report/report_data.h"

namespace attune::cli {

struct Setting {
  std::string path;   // "hyperparameters.batch_size", "phases[1].name"
  std::string value;  // as job files have it
  bool is_given = false;
};

// All leaves of `effective` in field order. Given is what `asked` has at the same path, whatever the server made of it.
std::vector<Setting> Settings(const v1::FineTuningSpec& asked, const v1::FineTuningSpec& effective);

Html SpecSection(const ReportData& data);

}  // namespace attune::cli
