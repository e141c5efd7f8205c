// ProbeJob: measures what a job would take: runs each phase's own code in miniature on the real model and rows (the largest batch, a few ordinary steps, an evaluation, a
// checkpoint) and works out memory and time of the whole. The learning rate is 0. Writes to paths.output_dir, which is scratch, and reads the feature cache, but adds nothing to it.
//
// Runs on the calling thread, which alone touches the model; takes seconds to a few minutes. Empty when the reporter said to stop. Throws as FineTune does; memory that runs out while
// the batch is grown is a finding, not an error.
//
//   ProcessMemory memory;
//   std::optional<ProbeReport> report = ProbeJob(spec, paths, memory, reporter, Files::Posix());
#pragma once

#include <optional>

#include "server/base/files.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/recipes/job_reporter.h"
#include "server/training/recipes/probe/memory_meter.h"
#include "server/training/recipes/probe/probe_report.h"

namespace attune::training {

// Of the reporter only Stop and LogLine are used.
std::optional<ProbeReport> ProbeJob(const FineTuneSpec& spec, const JobPaths& paths, MemoryMeter& meter, JobReporter& reporter, Files& files,
                                    ProbeScope scope = ProbeScope::kMemoryAndTime);

}  // namespace attune::training
