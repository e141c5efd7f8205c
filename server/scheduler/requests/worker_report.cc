#include "server/scheduler/requests/worker_report.h"

#include <algorithm>
#include <cstdint>

#include "server/base/str_cat.h"

namespace attune::scheduler {
namespace {

constexpr int64_t kMostCounted = int64_t{1} << 53;  // sums of a few still fit, and doubles hold it
constexpr double kMostSeconds = 1e9;  // three decades; a time in the future stays one that a Timestamp can hold
constexpr int kMostParts = 1 << 16;   // of a batch, whose rows are fewer
constexpr int kMostEpochs = 1000, kMostScale = 1000;  // as clients may ask for
constexpr int kInternal = 13, kLastCode = 16;         // google.rpc.Code

int64_t Count(int64_t value) { return std::clamp<int64_t>(value, 0, kMostCounted); }
double Seconds(double value) { return value > 0 ? std::min(value, kMostSeconds) : 0; }  // NaN is not over 0

void BoundWork(worker::v1::WorkDone& done) {
  done.set_steps(Count(done.steps()));
  done.set_samples(Count(done.samples()));
  done.set_tokens(Count(done.tokens()));
  done.set_step_seconds(Seconds(done.step_seconds()));
  done.set_input_wait_seconds(Seconds(done.input_wait_seconds()));
  done.set_feature_cache_hits(Count(done.feature_cache_hits()));
  done.set_feature_cache_misses(Count(done.feature_cache_misses()));
}

void BoundProgress(v1::JobProgress& progress) {
  progress.set_step(Count(progress.step()));
  progress.set_total_steps(Count(progress.total_steps()));
  progress.set_eta_seconds(Seconds(progress.eta_seconds()));
}

bool MakesSense(const v1::LiveSettings& settings) {
  const double scale = settings.has_learning_rate_scale() ? settings.learning_rate_scale() : 1;
  const int epochs = settings.has_n_epochs() ? settings.n_epochs() : 1;
  return scale > 0 && scale <= kMostScale && epochs >= 1 && epochs <= kMostEpochs &&
         settings.early_stopping_patience() >= 0;
}

bool MakesSense(const v1::Adjustment& adjustment) {
  if (adjustment.after_step() < 0 || adjustment.after_step() > kMostCounted) return false;
  if (adjustment.has_batch_parts()) return adjustment.batch_parts() >= 1 && adjustment.batch_parts() <= kMostParts;
  return adjustment.has_live_settings() && MakesSense(adjustment.live_settings());
}

}  // namespace

std::string Bound(worker::v1::ConnectRequest& message) {
  if (message.has_work_done()) BoundWork(*message.mutable_work_done());
  using Kind = worker::v1::ConnectRequest::KindCase;
  switch (message.kind_case()) {
    case Kind::kStarted:
      message.mutable_started()->set_resumed_from_step(Count(message.started().resumed_from_step()));
      return "";
    case Kind::kProgress:
      BoundProgress(*message.mutable_progress());
      return "";
    case Kind::kCheckpointWritten:
      message.mutable_checkpoint_written()->set_seconds(Seconds(message.checkpoint_written().seconds()));
      if (message.checkpoint_written().step() >= 0 && message.checkpoint_written().step() <= kMostCounted) return "";
      return StrCat("the worker reported a checkpoint at step ", message.checkpoint_written().step(),
                    ", which cannot be; it was not taken");
    case Kind::kAdjusted:
      if (MakesSense(message.adjusted())) return "";
      return "the worker reported a change that cannot be; further attempts will not repeat it";
    default:
      return "";
  }
}

worker::v1::Failed Bounded(worker::v1::Failed failed) {
  if (!v1::FailureInfo::Category_IsValid(failed.category()) ||
      failed.category() == v1::FailureInfo::CATEGORY_UNSPECIFIED) {
    failed.set_category(v1::FailureInfo::CATEGORY_SYSTEM);
  }
  if (failed.code() < 0 || failed.code() > kLastCode) failed.set_code(kInternal);
  failed.set_step(Count(failed.step()));
  return failed;
}

}  // namespace attune::scheduler
