// attune jobs create and plan: a job from flags, or from a YAML file that flags override.

#include <iterator>
#include <memory>
#include <vector>

#include "absl/strings/str_join.h"
#include "client/cli/app.h"
#include "client/cli/render/job_text.h"
#include "client/cli/render/plan_text.h"
#include "client/cli/session.h"
#include "client/cli/spec/job_file.h"
#include "client/cli/spec/spec_flags.h"
#include "client/cli/spec/spec_yaml.h"
#include "client/cli/watch_command.h"
#include "client/cpp/names.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int64_t kLargestFile = 1 << 20;

constexpr char kFooter[] = R"(
The file has the fields of FineTuningSpec, and display_name and labels:
  base_model: minilm
  dataset: reviews
  hyperparameters: {n_epochs: 3, learning_rate: 5e-5}
  phases:
    - {name: head, n_epochs: 1, trainable: {head_only: true}, learning_rate: 1e-3}
    - {name: all, n_epochs: 2, trainable: {all: true, freeze: ["embeddings.*"]}, layer_decay: 0.9}
A job on images also has
  head: {hidden_sizes: [256], activation: gelu}
  hyperparameters: {image_size: 192}
  augmentation: {crop_scale_min: 0.3, rand_augment: {operations: 2}, mixup_alpha: 0.2}
  phases: [{trainable: {last_n_groups: 1}, batch_norm: frozen, augment: true}]
Uneven classes, and steering of the adaptation:
  hyperparameters: {class_weights: {spam: 3}, l2_sp: 0.01, ema_decay: 0.999}
  phases: [{group_rates: {head: 10, embeddings: 0.1}}]
  gradual_unfreezing: {epochs_per_group: 1, layer_decay: 0.4}  # in place of phases
Begin with what another job has learnt:
  warm_start: {checkpoint: JOB/best, part: weights}
`attune jobs create --validate-only ...` prints the whole spec as such a file.)";

struct Flags {
  std::string file, like, display_name;
  std::vector<std::string> labels;
  std::vector<std::string> values;  // one for each of SpecFlags(), empty when not given
  bool watch = false, validate_only = false, lr_range_test = false;
};

absl::StatusOr<v1::CreateFineTuningJobRequest> ReadJobFile(Session& session, const std::string& path) {
  std::string text;
  if (path == "-") {
    text.assign(std::istreambuf_iterator<char>(session.console().in), {});
  } else {
    ATTUNE_ASSIGN_OR_RETURN(text, ReadFile(path, kLargestFile));
  }
  return ParseJobFile(text, path == "-" ? "(standard input)" : path);
}

// What a job was asked to do.
absl::StatusOr<v1::CreateFineTuningJobRequest> ReadJob(client::Client& client, const std::string& name) {
  v1::GetFineTuningJobRequest get;
  get.set_name(client::FullName(name, "fineTuningJobs"));
  ATTUNE_ASSIGN_OR_RETURN(v1::FineTuningJob job, client.GetFineTuningJob(get));
  v1::CreateFineTuningJobRequest request;
  *request.mutable_spec() = std::move(*job.mutable_spec());
  *request.mutable_labels() = std::move(*job.mutable_labels());
  return request;
}

// The request, or what is wrong with file and flags; but for the job that --like names, all that can be known without a server.
absl::StatusOr<v1::CreateFineTuningJobRequest> MakeRequest(Session& session, client::Client& client, const Flags& flags) {
  v1::CreateFineTuningJobRequest request;
  if (!flags.like.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(request, ReadJob(client, flags.like));
  }
  if (!flags.file.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(request, ReadJobFile(session, flags.file));
  }
  std::vector<std::string> faults;
  for (size_t i = 0; i < flags.values.size(); ++i) {
    if (flags.values[i].empty()) continue;
    const absl::Status status = SetSpecFlag(SpecFlags()[i], flags.values[i], request.mutable_spec());
    if (!status.ok()) faults.emplace_back(status.message());
  }
  if (flags.lr_range_test) request.mutable_spec()->mutable_lr_range_test();
  if (request.spec().has_warm_start() && request.spec().warm_start().checkpoint().empty())
    faults.emplace_back("no checkpoint to start from is given: --warm-start JOB/STEP, or warm_start in the file");
  if (!flags.display_name.empty()) request.set_display_name(flags.display_name);
  for (const std::string& label : flags.labels) {
    const size_t equals = label.find('=');
    (*request.mutable_labels())[label.substr(0, equals)] = label.substr(equals + 1);
  }
  if (request.spec().base_model().empty())
    faults.emplace_back("no base model is given: --base-model MODEL, or base_model in the file");
  if (request.spec().dataset().empty())
    faults.emplace_back("no dataset is given: --dataset DATASET, or dataset in the file");
  if (!faults.empty()) return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
  request.set_validate_only(flags.validate_only);
  return request;
}

int Create(Session& session, client::Client& client, const Flags& flags) {
  auto request = MakeRequest(session, client, flags);
  if (!request.ok()) {
    session.Fail("the job is not well described", request.status(),
                 "`attune jobs create --help` shows flags and an example file");
    return absl::IsNotFound(request.status()) ? kNotFound : kUsage;
  }
  auto job = client.CreateFineTuningJob(*request);
  if (!job.ok()) {
    return session.Fail(
        "cannot create the job", job.status(),
        absl::IsNotFound(job.status()) ? "`attune models list` and `attune datasets list` show what there is" : "");
  }
  if (flags.validate_only) {
    return session.Show(*job, [&] { return SpecYaml(job->effective_spec()); });
  }
  if (flags.watch) {
    session.Note(StrCat("Created ", job->name(), "\n"));
    return WatchOnConsole(session, client, job->name());
  }
  return session.Show(*job, [&] {
    const std::string id = client::ShortName(job->name());
    return StrCat("Created ", job->name(), " (", StateText(job->state(), session.style()),
                  ")\n\nNext\n  attune jobs watch ", id, "\n  attune jobs show ", id, "\n");
  });
}

int Plan(Session& session, client::Client& client, const Flags& flags) {
  auto request = MakeRequest(session, client, flags);
  if (!request.ok()) {
    session.Fail("the job is not well described", request.status(), "`attune jobs plan --help` shows flags and an example file");
    return absl::IsNotFound(request.status()) ? kNotFound : kUsage;
  }
  v1::PlanFineTuningJobRequest plan;
  *plan.mutable_spec() = std::move(*request->mutable_spec());
  if (!session.json() && !session.quiet) session.console().err << "A worker runs a few steps of the job to measure it; that takes some seconds to some minutes.\n";
  auto response = client.PlanFineTuningJob(plan);
  if (!response.ok()) {
    return session.Fail("cannot plan the job", response.status(),
                        absl::IsNotFound(response.status()) ? "`attune models list` and `attune datasets list` show what there is" : "");
  }
  return session.Show(*response, [&] { return PlanText(*response, session.style()); });
}

// What describes the job: a file, another job, and a flag for each value of the spec.
void AddSpecOptions(CLI::App* app, const std::shared_ptr<Flags>& flags) {
  flags->values.resize(SpecFlags().size());
  app->footer(kFooter);
  app->add_option("-f,--file", flags->file, "YAML file with the spec; flags override it. -: standard input")
      ->type_name("FILE");
  app->add_option("--like", flags->like, "Start from what this job was asked to do; flags override it")->type_name("JOB")->excludes("--file");
  app->add_flag("--lr-range-test", flags->lr_range_test,
                "Instead of fine-tuning, find a learning rate: it grows until the loss blows up");
  for (size_t i = 0; i < SpecFlags().size(); ++i) {
    const SpecFlag& flag = SpecFlags()[i];
    if (flag.is_switch()) {
      app->add_flag(StrCat("--", flag.name, "{true},--no-", flag.name, "{false}"), flags->values[i], flag.help)
          ->group(flag.group);
      continue;
    }
    CLI::Option* option = app->add_option("--" + flag.name, flags->values[i], flag.help)->group(flag.group);
    if (flag.choices.empty()) {
      option->type_name(flag.is_map() ? "NAME=VALUE,..." : flag.is_list() ? "VALUE,VALUE..." : "VALUE");
    } else {
      SetChoices(option, flag.choices);
    }
  }
}

}  // namespace

void AddPlanJobCommand(CLI::App& jobs, Session& session) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app = AddCommand(jobs, "plan", "Measure the memory, time and disk that a job would take; nothing is created", session,
                             [=, &session](client::Client& client) -> int { return Plan(session, client, *flags); });
  AddSpecOptions(app, flags);
}

void AddCreateJobCommand(CLI::App& jobs, Session& session) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app = AddCommand(jobs, "create", "Create a fine-tuning job from flags or a YAML file", session,
                             [=, &session](client::Client& client) -> int { return Create(session, client, *flags); });
  AddSpecOptions(app, flags);
  app->add_flag("--watch", flags->watch, "Follow the job until it ends; the exit code tells how");
  app->add_flag("--validate-only", flags->validate_only, "Check only, and print the spec with every default filled in");
  app->add_option("--display-name", flags->display_name, "Name for people. Default: model and dataset");
  app->add_option("--label", flags->labels, "Label to find the job by; may be repeated")
      ->check([](const std::string& text) { return text.find('=') == std::string::npos ? "must be KEY=VALUE" : ""; })
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

}  // namespace attune::cli
