// The part of convert.h that is about evaluations of checkpoints.
#include "server/training/worker/convert.h"

namespace attune::training {
namespace {

v1::JudgedRow ToProto(const JudgedRow& row) {
  v1::JudgedRow out;
  out.set_row(row.row);
  out.set_filename(row.filename);
  out.set_line(row.line);
  out.set_entry(row.entry);
  out.set_text(row.text);
  out.mutable_labels()->Add(row.labels.begin(), row.labels.end());
  out.mutable_predicted_labels()->Add(row.predicted_labels.begin(), row.predicted_labels.end());
  out.set_label_probability(row.label_probability);
  out.set_predicted_probability(row.predicted_probability);
  out.set_margin(row.margin);
  out.set_loss(row.loss);
  out.set_value(row.value);
  out.set_predicted_value(row.predicted_value);
  return out;
}

}  // namespace

EvaluateCommand FromProto(const worker::v1::Evaluate& evaluate) {
  EvaluateCommand command;
  command.request = evaluate.request();
  command.evaluation.checkpoint_dir = evaluate.checkpoint_dir();
  command.evaluation.dataset_dir = evaluate.dataset_dir();
  command.evaluation.split = evaluate.split();
  command.evaluation.suspects = evaluate.suspect_count();
  if (evaluate.batch_size() > 0) command.evaluation.batch_size = evaluate.batch_size();
  return command;
}

v1::CheckpointEvaluation ToProto(const EvaluationOutput& output) {
  v1::CheckpointEvaluation out;
  *out.mutable_evaluation() = ToProto(output.figures);
  for (const CalibrationBin& bin : output.calibration) {
    v1::CalibrationBin& each = *out.add_calibration();
    each.set_lower(bin.lower);
    each.set_upper(bin.upper);
    each.set_rows(bin.rows);
    each.set_confidence(bin.confidence);
    each.set_accuracy(bin.accuracy);
  }
  for (const JudgedRow& row : output.mistakes) *out.add_mistakes() = ToProto(row);
  for (const JudgedRow& row : output.suspects) *out.add_suspects() = ToProto(row);
  out.set_contradicted_rows(output.contradicted_rows);
  out.set_training_rows(output.training_rows);
  return out;
}

}  // namespace attune::training
