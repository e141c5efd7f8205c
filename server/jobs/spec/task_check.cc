// The part of the spec check that asks whether model, dataset and task fit together.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "server/jobs/spec/spec_context.h"

namespace attune::jobs {
namespace {

constexpr size_t kNamedModels = 5;

struct TaskRow {
  v1::Task task;
  const char* name;  // as workers name it
  v1::LabelKind kind;
  Modality modality;
};
constexpr TaskRow kTasks[] = {
    {v1::TASK_TEXT_CLASSIFICATION, "text-classification", v1::LABEL_KIND_SINGLE_LABEL, Modality::kText},
    {v1::TASK_TEXT_MULTI_LABEL, "text-multi-label", v1::LABEL_KIND_MULTI_LABEL, Modality::kText},
    {v1::TASK_TEXT_REGRESSION, "text-regression", v1::LABEL_KIND_REGRESSION, Modality::kText},
    {v1::TASK_IMAGE_CLASSIFICATION, "image-classification", v1::LABEL_KIND_SINGLE_LABEL, Modality::kImage},
    {v1::TASK_IMAGE_MULTI_LABEL, "image-multi-label", v1::LABEL_KIND_MULTI_LABEL, Modality::kImage},
    {v1::TASK_IMAGE_REGRESSION, "image-regression", v1::LABEL_KIND_REGRESSION, Modality::kImage},
};

// Null for no task.
const TaskRow* Find(v1::Task task) {
  for (const TaskRow& row : kTasks) {
    if (row.task == task) return &row;
  }
  return nullptr;
}

// What was stored before there were images has no modality and is text.
Modality ModalityOf(const std::string& name) { return name == architectures::ModalityName(Modality::kImage) ? Modality::kImage : Modality::kText; }

const char* Plural(Modality modality) { return modality == Modality::kImage ? "images" : "texts"; }

v1::Task TaskOf(v1::LabelKind kind, Modality modality) {
  for (const TaskRow& row : kTasks) {
    if (row.kind == kind && row.modality == modality) return row.task;
  }
  return v1::TASK_UNSPECIFIED;
}

// "texts with one class each"
std::string WhatRowsAre(v1::LabelKind kind, Modality modality) {
  const char* labels = kind == v1::LABEL_KIND_SINGLE_LABEL  ? "one class each"
                       : kind == v1::LABEL_KIND_MULTI_LABEL ? "any number of classes each"
                                                            : "a number each";
  return StrCat(Plural(modality), " with ", labels);
}

// "models/a, models/b", or what to do when there is none.
std::string ModelsOf(const std::vector<v1::Model>& models, Modality modality) {
  std::vector<std::string> names;
  for (const v1::Model& model : models) {
    if (ModalityOf(model.modality()) == modality) names.push_back(model.name());
  }
  if (names.empty()) return "import one";
  size_t more = names.size() > kNamedModels ? names.size() - kNamedModels : 0;
  names.resize(names.size() - more);
  return StrCat(absl::StrJoin(names, ", "), more > 0 ? StrCat(" and ", more, " more fit") : names.size() == 1 ? " fits" : " fit");
}

}  // namespace

bool SameModality(const v1::Model& model, const v1::Dataset& dataset) { return ModalityOf(model.modality()) == ModalityOf(dataset.modality()); }

bool TakesImages(v1::Task task) {
  const TaskRow* row = Find(task);
  return row != nullptr && row->modality == Modality::kImage;
}

bool HoldsImages(const v1::Dataset& dataset) { return ModalityOf(dataset.modality()) == Modality::kImage; }

std::string WhatRowsOf(const v1::Dataset& dataset) { return WhatRowsAre(dataset.label_kind(), ModalityOf(dataset.modality())); }

std::string WhyRowsDoNotFit(v1::Task task, const v1::Dataset& dataset) {
  const TaskRow* row = Find(task);
  const Modality modality = ModalityOf(dataset.modality());
  if (row == nullptr || (row->kind == dataset.label_kind() && row->modality == modality)) return "";
  return StrCat(dataset.name(), " has ", WhatRowsAre(dataset.label_kind(), modality), ", and the checkpoint learnt from ", WhatRowsAre(row->kind, row->modality));
}

std::string TaskName(v1::Task task) {
  const TaskRow* row = Find(task);
  return row == nullptr ? "" : row->name;
}

v1::LabelKind KindOf(v1::Task task) {
  const TaskRow* row = Find(task);
  return row == nullptr ? v1::LABEL_KIND_UNSPECIFIED : row->kind;
}

std::string SpecContext::WhyNot() const {
  if (!modality.has_value()) return "";
  if (model_known) return StrCat(input.model.name(), images() ? " is an image model" : " is a text model");
  return StrCat(input.dataset.name(), " holds ", Plural(*modality));
}

void CheckModality(SpecContext& context) {
  const v1::Model& model = context.input.model;
  const v1::Dataset& dataset = context.input.dataset;
  if (context.model_known && context.dataset_known && !SameModality(model, dataset)) {
    Modality wanted = ModalityOf(dataset.modality()), taken = ModalityOf(model.modality());
    context.Fault("base_model", StrCat(model.name(), " is a model of ", Plural(taken), ", and ", dataset.name(), " holds ", Plural(wanted), "; choose a model of ",
                                       Plural(wanted), " (", ModelsOf(context.input.models, wanted), "), or a dataset of ", Plural(taken)));
    return;
  }
  if (context.model_known) {
    context.modality = ModalityOf(model.modality());
  } else if (context.dataset_known) {
    context.modality = ModalityOf(dataset.modality());
  }
}

void CheckTask(SpecContext& context) {
  v1::Task asked = context.input.spec.task();
  if (!v1::Task_IsValid(asked)) {
    context.Fault("task", StrCat("there is no task ", static_cast<int>(asked), "; leave it out, and the dataset decides"));
    return;
  }
  const v1::Dataset& dataset = context.input.dataset;
  Modality held = ModalityOf(dataset.modality());
  v1::Task fitting = context.dataset_known ? TaskOf(dataset.label_kind(), held) : v1::TASK_UNSPECIFIED;
  context.task = asked == v1::TASK_UNSPECIFIED ? fitting : asked;
  context.effective.set_task(context.task);
  if (fitting != v1::TASK_UNSPECIFIED && context.task != fitting) {
    context.Fault("task", StrCat(v1::Task_Name(asked), " does not fit ", dataset.name(), ", whose rows are ", WhatRowsAre(dataset.label_kind(), held), "; use ",
                                 v1::Task_Name(fitting), " or leave task out"));
    context.task = v1::TASK_UNSPECIFIED;  // what depends on it would only repeat this
  }
  // Without a modality the model does not fit the dataset, let alone its task.
  if (!context.model_known || !context.modality.has_value() || context.task == v1::TASK_UNSPECIFIED) return;
  for (const v1::Architecture& architecture : context.input.architectures) {
    if (architecture.name() != context.input.model.architecture()) continue;
    const auto& tasks = architecture.tasks();
    if (std::find(tasks.begin(), tasks.end(), TaskName(context.task)) == tasks.end()) {
      context.Fault("task", StrCat(architecture.name(), " cannot be adapted to ", TaskName(context.task), "; it can to ", absl::StrJoin(tasks, ", ")));
    }
  }
}

}  // namespace attune::jobs
