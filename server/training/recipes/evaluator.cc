#include "server/training/recipes/evaluator.h"

#include <algorithm>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "server/base/str_cat.h"
#include "server/examples/example.h"
#include "server/training/input/targets.h"
#include "server/training/recipes/job_input.h"
#include "server/training/recipes/loaded_checkpoint.h"
#include "server/training/recipes/run_reporter.h"
#include "server/training/steps/evaluate.h"
#include "server/training/steps/training_error.h"
#include "server/training/tasks/agreement.h"

namespace attune::training {
namespace {

constexpr size_t kShownCharacters = 200;
constexpr size_t kMaxMatrixClasses = 1000;  // a larger matrix is no message any more

// Rows must be such as the checkpoint learnt from, and their class numbers must mean the same.
void CheckFit(const LoadedCheckpoint& loaded, const examples::DatasetManifest& manifest) {
  const bool takes_images = loaded.view.has_value();
  if (takes_images != (manifest.modality == examples::Modality::kImage)) {
    throw std::invalid_argument(StrCat("the checkpoint takes ", takes_images ? "images" : "texts", ", and the dataset holds ", takes_images ? "texts" : "images"));
  }
  const std::string problem = loaded.headed.task->problem_type();
  const examples::LabelKind kind = problem == "regression"                   ? examples::LabelKind::kRegression
                                   : problem == "multi_label_classification" ? examples::LabelKind::kMultiLabel
                                                                             : examples::LabelKind::kSingleLabel;
  if (kind != manifest.label_kind) throw std::invalid_argument(StrCat("the dataset's labels are of another kind than those that ", loaded.record.task, " learns"));
  const std::vector<std::string>& ours = loaded.record.labels;
  const std::vector<std::string>& theirs = manifest.labels;
  for (size_t i = 0; i < std::max(ours.size(), theirs.size()); ++i) {
    const std::string our = i < ours.size() ? StrCat("\"", ours[i], "\"") : "none", their = i < theirs.size() ? StrCat("\"", theirs[i], "\"") : "none";
    if (our != their) throw std::invalid_argument(StrCat("class ", i + 1, " is ", their, " in the dataset and ", our, " in the checkpoint; both must have the same classes"));
  }
}

examples::Split SplitOf(const EvaluationRequest& request, const examples::ExampleReader& reader) {
  std::optional<examples::Split> split;
  for (examples::Split each : {examples::Split::kTrain, examples::Split::kValidation, examples::Split::kTest}) {
    if (request.split == examples::SplitName(each)) split = each;
  }
  if (request.split.empty()) split = reader.size(examples::Split::kTest) > 0 ? examples::Split::kTest : examples::Split::kValidation;
  if (!split.has_value()) throw std::invalid_argument(StrCat("split \"", request.split, "\" is not train, validation or test"));
  if (reader.size(*split) == 0) throw std::invalid_argument(StrCat("the dataset has no ", examples::SplitName(*split), " rows"));
  return *split;
}

std::string FirstCharacters(std::string_view text) {
  size_t end = 0;
  for (size_t characters = 0; end < text.size() && characters < kShownCharacters; ++characters) {
    for (++end; end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80; ++end) {
    }
  }
  return std::string(text.substr(0, end));
}

class Evaluation {
 public:
  Evaluation(const EvaluationRequest& request, const EvaluationControl& control) : request_(request), control_(control), loaded_(LoadCheckpoint(request.checkpoint_dir)) {
    auto reader = examples::ExampleReader::Open(request.dataset_dir);
    ThrowIfError(reader.status());
    reader_ = *std::move(reader);
    CheckFit(loaded_, reader_->manifest());
    input_ = loaded_.view.has_value() ? MakeImageInput(reader_, *loaded_.view, AugmentationSpec())
                                      : MakeTextInput(reader_, loaded_.tokenizer, /*tokenizer_digest=*/"", loaded_.record.max_length);
    regression_ = loaded_.record.labels.empty();
    multi_label_ = reader_->manifest().label_kind == examples::LabelKind::kMultiLabel;
  }

  std::optional<EvaluationOutput> Run() {
    const examples::Split split = SplitOf(request_, *reader_);
    const bool search = request_.suspects > 0;
    const bool both = search && split == examples::Split::kTrain;  // one pass gives both
    const int64_t training_rows = search ? reader_->size(examples::Split::kTrain) : 0;
    total_ = reader_->size(split) + (both ? 0 : training_rows);
    control_.progress(0, total_);
    EvaluationOutput output;
    output.training_rows = training_rows;
    LogitsOfSplit all(reader_->size(split));
    Ranking mistakes(static_cast<size_t>(request_.mistakes)), suspects(static_cast<size_t>(request_.suspects));
    const auto suspect = [&](int64_t row, const Agreement& agreement) {
      if (!agreement.contradicts) return;
      output.contradicted_rows += regression_ ? 0 : 1;
      suspects.Add(agreement.margin, row, agreement);
    };
    bool went = Pass(split, &all, [&](int64_t row, const Agreement& agreement) {
      if (agreement.contradicts) mistakes.Add(regression_ ? agreement.margin : -agreement.predicted_probability, row, agreement);
      if (both) suspect(row, agreement);
    });
    if (went && search && !both) went = Pass(examples::Split::kTrain, nullptr, suspect);
    if (!went) return std::nullopt;
    const EvaluationResult result = loaded_.headed.task->Evaluate(all.logits(), all.targets());
    output.figures = MakeEvaluationReport(/*step=*/0, examples::SplitName(split), result, /*is_best=*/false);
    if (output.figures.classes.size() > kMaxMatrixClasses) output.figures.confusion.clear();
    output.calibration = result.calibration;
    output.mistakes = Describe(split, mistakes);
    output.suspects = Describe(examples::Split::kTrain, suspects);
    return output;
  }

 private:
  // Runs the model on all rows of a split. False when it was to stop.
  template <typename Judge>
  bool Pass(examples::Split split, LogitsOfSplit* all, Judge judge) {
    const BatchRowsOptions rows = {.rows = reader_->size(split), .batch_size = request_.batch_size, .seed = 0, .shuffle = false};
    Task& task = *loaded_.headed.task;
    const std::unique_ptr<BatchSource> batches =
        input_->Batches(split, rows, {RowView::kPlain}, [&task](const std::vector<const examples::Example*>& examples) { return task.Targets(examples); });
    const EvaluateOptions options = {.loader_threads = input_->loader_threads(control_.threads)};
    return RunBatches(*loaded_.headed.model, task, *batches, options, control_.stop_requested, [&](const Batch& batch, const at::Tensor& logits) {
      if (all != nullptr) all->Take(batch, logits);
      const at::Tensor values = logits.contiguous();
      const auto classes = static_cast<size_t>(values.size(1));
      for (int64_t i = 0; i < batch.rows; ++i) {
        const std::span<const float> of_row = {values.const_data_ptr<float>() + static_cast<size_t>(i) * classes, classes};
        const int64_t row = batch.example_indices[static_cast<size_t>(i)];
        judge(row, Judged(of_row, ReadRow(*reader_, split, row)));
      }
      done_ += batch.rows;
      control_.progress(done_, total_);
    });
  }

  Agreement Judged(std::span<const float> logits, const examples::ExampleView& row) const {
    if (regression_) return AgreeOnValue(logits[0], row.value);
    return multi_label_ ? AgreeOnClasses(logits, row.labels) : AgreeOnClass(logits, row.labels[0]);
  }

  std::vector<JudgedRow> Describe(examples::Split split, const Ranking& ranking) const {
    const examples::DatasetManifest& manifest = reader_->manifest();
    std::vector<JudgedRow> out;
    for (const auto& [row, agreement] : ranking.Rows()) {
      const examples::ExampleView view = ReadRow(*reader_, split, row);
      JudgedRow judged;
      judged.row = row;
      judged.filename = view.file < manifest.filenames.size() ? manifest.filenames[view.file] : "";
      judged.line = view.line;
      judged.entry = view.entry;
      judged.text = FirstCharacters(view.text);
      for (const int32_t label : view.labels) judged.labels.push_back(manifest.labels[static_cast<size_t>(label)]);
      for (const int32_t label : agreement.predicted) judged.predicted_labels.push_back(manifest.labels[static_cast<size_t>(label)]);
      judged.label_probability = agreement.label_probability;
      judged.predicted_probability = agreement.predicted_probability;
      judged.margin = regression_ ? 0 : agreement.margin;
      judged.loss = agreement.loss;
      judged.value = view.value;
      judged.predicted_value = agreement.predicted_value;
      out.push_back(std::move(judged));
    }
    return out;
  }

  const EvaluationRequest& request_;
  const EvaluationControl& control_;
  const LoadedCheckpoint loaded_;
  std::shared_ptr<const examples::ExampleReader> reader_;
  std::unique_ptr<JobInput> input_;
  bool regression_ = false, multi_label_ = false;
  int64_t done_ = 0, total_ = 0;  // rows
};

}  // namespace

std::optional<EvaluationOutput> EvaluateCheckpoint(const EvaluationRequest& request, const EvaluationControl& control) { return Evaluation(request, control).Run(); }

}  // namespace attune::training
