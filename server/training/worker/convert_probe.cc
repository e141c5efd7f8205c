// The part of convert.h that is about plans.
#include "server/training/worker/convert.h"

namespace attune::training {

ProbeCommand FromProto(const worker::v1::Probe& probe) { return {probe.request(), FromProto(probe.assignment()), probe.memory_only() ? ProbeScope::kMemory : ProbeScope::kMemoryAndTime}; }

v1::PlanFineTuningJobResponse ToProto(const ProbeReport& report) {
  v1::PlanFineTuningJobResponse out;
  out.set_device(report.device);
  out.set_threads(report.threads);
  v1::MemoryPlan& memory = *out.mutable_memory();
  memory.set_peak_bytes(report.memory.peak);
  memory.set_runtime_bytes(report.memory.runtime);
  memory.set_parameters_bytes(report.memory.parameters);
  memory.set_gradients_bytes(report.memory.gradients);
  memory.set_optimizer_bytes(report.memory.optimizer);
  memory.set_activations_bytes(report.memory.activations);
  out.set_memory_limit_bytes(report.memory_limit);
  out.set_fits(report.fits);
  out.set_largest_batch_size(static_cast<int32_t>(report.largest_batch));
  out.set_accumulation_steps(static_cast<int32_t>(report.accumulation));
  for (const ProbedPhase& phase : report.phases) {
    v1::PhasePlan& each = *out.add_phases();
    each.set_phase(phase.name);
    each.set_steps(phase.steps);
    each.set_step_seconds(phase.step_seconds);
    each.set_seconds(phase.seconds);
    each.set_trainable_parameters(phase.trainable_parameters);
  }
  out.set_total_steps(report.total_steps);
  out.set_total_seconds(report.seconds);
  out.set_total_seconds_low(report.low_seconds);
  out.set_total_seconds_high(report.high_seconds);
  out.set_checkpoint_bytes(report.checkpoint_bytes);
  return out;
}

}  // namespace attune::training
