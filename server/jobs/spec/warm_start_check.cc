// The part of the spec check that looks at spec.warm_start: whether another job's checkpoint can be what this one begins with. After all other parts, for it compares what
// the spec has become.
#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "google/protobuf/util/message_differencer.h"
#include "server/jobs/spec/spec_context.h"

namespace attune::jobs {
namespace {

using google::protobuf::util::MessageDifferencer;

constexpr char kCheckpoint[] = "warm_start.checkpoint";
constexpr char kPart[] = "warm_start.part";

std::string Quoted(const std::vector<std::string>& labels) { return labels.empty() ? "no classes" : StrCat("the classes ", absl::StrJoin(labels, ", ")); }

// What decides which weights there are.
v1::HeadSpec WeightsOf(v1::HeadSpec head) {
  head.clear_dropout();
  if (head.hidden_sizes().empty()) head.clear_activation();
  return head;
}

// Without what may differ from the job that is gone on from: what decides nothing of the past, and of the present phase when it ends.
v1::FineTuningSpec PastOf(const v1::FineTuningSpec& spec, int phase) {
  v1::FineTuningSpec past = spec;
  past.clear_scheduling();
  past.clear_checkpointing();
  v1::EvaluationSpec judged;  // which is better, and so what the best one so far is
  judged.set_metric_for_best_model(spec.evaluation().metric_for_best_model());
  judged.set_split(spec.evaluation().split());
  *past.mutable_evaluation() = judged;
  past.clear_resources();
  past.clear_warm_start();
  past.clear_gradual_unfreezing();
  v1::Hyperparameters& h = *past.mutable_hyperparameters();
  h.clear_n_epochs();
  h.clear_max_steps();
  h.clear_early_stopping_patience();
  if (past.phases_size() > phase + 1) past.mutable_phases()->DeleteSubrange(phase + 1, past.phases_size() - phase - 1);
  if (past.phases_size() == phase + 1) past.mutable_phases(phase)->clear_until();
  return past;
}

// Paths of the fields whose values differ: "hyperparameters.batch_size".
class DifferingFields final : public MessageDifferencer::Reporter {
 public:
  void ReportAdded(const google::protobuf::Message&, const google::protobuf::Message&, const std::vector<MessageDifferencer::SpecificField>& path) override { Add(path); }
  void ReportDeleted(const google::protobuf::Message&, const google::protobuf::Message&, const std::vector<MessageDifferencer::SpecificField>& path) override { Add(path); }
  void ReportModified(const google::protobuf::Message&, const google::protobuf::Message&, const std::vector<MessageDifferencer::SpecificField>& path) override { Add(path); }
  // Without those of messages whose fields are there themselves.
  std::set<std::string> paths() const {
    std::set<std::string> leaves;
    for (auto it = paths_.begin(); it != paths_.end(); ++it) {
      const bool parent = std::any_of(std::next(it), paths_.end(), [&](const std::string& other) {
        return other.size() > it->size() && other.compare(0, it->size(), *it) == 0 && (other[it->size()] == '.' || other[it->size()] == '[');
      });
      if (!parent) leaves.insert(*it);
    }
    return leaves;
  }

 private:
  void Add(const std::vector<MessageDifferencer::SpecificField>& path) {
    std::string text;
    for (const MessageDifferencer::SpecificField& part : path) {
      StrAppend(&text, text.empty() ? "" : ".", part.field->name());
      if (part.field->is_map()) break;
      if (part.field->is_repeated()) StrAppend(&text, "[", std::max(part.index, part.new_index), "]");
    }
    paths_.insert(text);
  }
  std::set<std::string> paths_;
};

// Values of 0 and absent ones are different things to a proto3 optional, but both specs have been filled in.
std::set<std::string> Differences(const v1::FineTuningSpec& a, const v1::FineTuningSpec& b) {
  DifferingFields fields;
  MessageDifferencer differencer;
  differencer.set_message_field_comparison(MessageDifferencer::EQUIVALENT);
  differencer.ReportDifferencesTo(&fields);
  differencer.Compare(a, b);
  return fields.paths();
}

void CheckSameModel(SpecContext& context, const v1::FineTuningJob& job) {
  const v1::FineTuningSpec& theirs = job.effective_spec();
  const v1::FineTuningSpec& ours = context.effective;
  const auto differs = [&](const std::string& what, const std::string& there, const std::string& here) {
    context.Fault(kCheckpoint, StrCat(job.name(), " has ", there, ", and this job has ", here, "; a warm start needs the same ", what));
  };
  if (theirs.base_model() != ours.base_model()) return differs("base model", theirs.base_model(), ours.base_model());
  if (context.task != v1::TASK_UNSPECIFIED && theirs.task() != context.task) {
    return differs("task", StrCat("the task ", TaskName(theirs.task())), StrCat("the task ", TaskName(context.task)));
  }
  const std::vector<std::string> their_labels(job.class_labels().begin(), job.class_labels().end());
  const std::vector<std::string> our_labels(context.input.dataset.labels().begin(), context.input.dataset.labels().end());
  if (context.dataset_known && their_labels != our_labels) differs("classes, in the same order", Quoted(their_labels), Quoted(our_labels));
  if (!MessageDifferencer::Equivalent(WeightsOf(theirs.head()), WeightsOf(ours.head()))) {
    context.Fault(kCheckpoint, StrCat(job.name(), " has a head of another form; a warm start needs the same head.hidden_sizes, head.activation and head.pooling"));
  }
}

void CheckSamePast(SpecContext& context, const WarmStartSource& source) {
  const std::string& job = source.job.name();
  if (!source.checkpoint.resumable()) {
    context.Fault(kPart, StrCat(source.checkpoint.name(), " holds weights only, and all of a checkpoint is needed; use PART_WEIGHTS"));
    return;
  }
  const bool keeps_start = context.effective.has_lora() || context.effective.hyperparameters().l2_sp() > 0;
  if (keeps_start && source.job.effective_spec().has_warm_start()) {
    context.Fault(kPart, StrCat(job, " began with another job's weights, which ", context.effective.has_lora() ? "lora" : "hyperparameters.l2_sp",
                                " needs and its checkpoints do not hold; use PART_WEIGHTS"));
    return;
  }
  if (source.phase >= context.effective.phases_size()) {
    context.Fault("phases", StrCat("has ", context.effective.phases_size(), ", and ", source.checkpoint.name(), " is in the ", source.phase + 1, ". phase of ", job));
    return;
  }
  const v1::FineTuningSpec theirs = PastOf(source.job.effective_spec(), source.phase);
  const v1::FineTuningSpec ours = PastOf(context.effective, source.phase);
  for (const std::string& path : Differences(theirs, ours)) {
    context.Fault(path, StrCat("is not that of ", job, "; to go on from all of its checkpoint, everything that decided it must be the same (PART_WEIGHTS takes over the weights only)"));
  }
}

// What goes on is the same to the bit with as many threads alone: those of the other job, unless the spec says otherwise and is told what that means.
void GoOnWithItsThreads(SpecContext& context, const v1::FineTuningJob& job) {
  const int theirs = job.effective_spec().resources().threads();
  v1::ResourceSpec& ours = *context.effective.mutable_resources();
  if (theirs <= 0 || theirs == ours.threads()) return;
  if (!context.input.spec.resources().has_threads()) {
    ours.set_threads(theirs);  // where there are fewer cores it is slower, but the same
    return;
  }
  context.Warn(StrCat("resources.threads is ", ours.threads(), ", and ", job.name(), " has ", theirs, ": sums are rounded otherwise, so the model will not be that of ", job.name(),
                      " to the bit; leave it out to go on as it would have"));
}

}  // namespace

void CheckWarmStart(SpecContext& context) {
  if (!context.input.spec.has_warm_start()) return;
  v1::WarmStart& warm_start = *context.effective.mutable_warm_start();
  if (!v1::WarmStart::Part_IsValid(warm_start.part())) {
    context.Fault(kPart, StrCat("there is no part ", static_cast<int>(warm_start.part()), "; use PART_WEIGHTS or PART_ALL"));
    return;
  }
  if (warm_start.part() == v1::WarmStart::PART_UNSPECIFIED) warm_start.set_part(v1::WarmStart::PART_WEIGHTS);
  if (context.input.spec.has_lr_range_test()) context.Fault("warm_start", "cannot be used with lr_range_test; leave one of the two out");
  if (warm_start.checkpoint().empty()) {
    context.Fault(kCheckpoint, "is required: the fineTuningJobs/{job}/checkpoints/{step} to start from");
    return;
  }
  const WarmStartSource& source = context.input.warm_start;
  if (source.checkpoint.name().empty()) return;  // not found: its own fault
  warm_start.set_checkpoint(source.checkpoint.name());
  CheckSameModel(context, source.job);
  // What a spec with faults has become says nothing.
  if (warm_start.part() == v1::WarmStart::PART_ALL && context.result.violations.empty()) {
    CheckSamePast(context, source);
    GoOnWithItsThreads(context, source.job);
  }
}

}  // namespace attune::jobs
