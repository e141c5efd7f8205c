// A job that is being watched, as text: a block of lines that is redrawn in place on a terminal, or a log of plain
// lines elsewhere. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/cli/render/job_view.h"
#include "client/cli/render/style.h"

namespace attune::cli {

// The block, one entry for each line, each at most style.width columns.
std::vector<std::string> LiveView(const JobView& view, absl::Time now, const Style& style);

// ANSI codes and text that replace a block of `previous_lines` lines, above which the cursor stands, by `lines`.
std::string Redraw(int previous_lines, const std::vector<std::string>& lines);

// Decides which events are worth a line where nothing can be redrawn: states, phases, evaluations, checkpoints,
// warnings, the first step, and progress each tenth of the way. Not thread-safe.
class PlainLog {
 public:
  explicit PlainLog(Style style) : style_(style) {}
  // `view` after the event was applied to it. Usually no or one line.
  std::vector<std::string> Lines(const v1::JobEvent& event, const JobView& view, absl::Time now);
  // Whether the job itself should be fetched and applied before Lines is asked: for the number of steps and the time to
  // go. At most once a second.
  bool WantsJob(const v1::JobEvent& event, const JobView& view, absl::Time now) const;

 private:
  std::string Progress(const v1::JobEvent& event, const JobView& view, absl::Time now);

  const Style style_;
  int next_tenth_ = 0;
  int64_t last_step_ = 0;
};

}  // namespace attune::cli
