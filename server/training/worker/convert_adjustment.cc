// Changes of a job that trains, to and from their messages.
#include "server/training/worker/convert.h"

namespace attune::training {
namespace {

v1::LiveSettings ToProto(const LiveSettings& settings) {
  v1::LiveSettings out;
  if (settings.learning_rate_scale.has_value()) out.set_learning_rate_scale(*settings.learning_rate_scale);
  if (settings.n_epochs.has_value()) out.set_n_epochs(*settings.n_epochs);
  if (settings.early_stopping_patience.has_value()) out.set_early_stopping_patience(*settings.early_stopping_patience);
  return out;
}

}  // namespace

LiveSettings FromProto(const v1::LiveSettings& settings) {
  LiveSettings out;
  if (settings.has_learning_rate_scale()) out.learning_rate_scale = settings.learning_rate_scale();
  if (settings.has_n_epochs()) out.n_epochs = settings.n_epochs();
  if (settings.has_early_stopping_patience()) out.early_stopping_patience = settings.early_stopping_patience();
  return out;
}

Adjustment FromProto(const v1::Adjustment& adjustment) {
  Adjustment out;
  out.after_step = adjustment.after_step();
  out.batch_parts = adjustment.batch_parts();
  out.live_settings = FromProto(adjustment.live_settings());
  return out;
}

v1::Adjustment ToProto(const Adjustment& adjustment) {
  v1::Adjustment out;
  out.set_after_step(adjustment.after_step);
  if (adjustment.batch_parts > 0) {
    out.set_batch_parts(adjustment.batch_parts);
  } else {
    *out.mutable_live_settings() = ToProto(adjustment.live_settings);
  }
  return out;
}

}  // namespace attune::training
