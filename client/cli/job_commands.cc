// attune jobs ... but create, plan, evaluate, verify-resume and report, which have files of their own.

#include <memory>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "client/cli/app.h"
#include "client/cli/paging.h"
#include "client/cli/render/format.h"
#include "client/cli/render/job_text.h"
#include "client/cli/session.h"
#include "client/cli/spec/spec_values.h"
#include "client/cli/spec/spec_yaml.h"
#include "client/cli/watch_command.h"
#include "client/cpp/names.h"
#include "client/cpp/watch.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr char kListHint[] = "`attune jobs list` shows the jobs there are";

std::string HintFor(const absl::Status& status) { return absl::IsNotFound(status) ? kListHint : ""; }

std::string JobName(const std::string& text) { return client::FullName(text, "fineTuningJobs"); }

// A command on one job, whose name is its first argument.
CLI::App* AddOnJob(CLI::App& group, const std::string& name, const std::string& description, Session& session,
                   std::function<int(client::Client&, const std::string& job)> run) {
  auto job = std::make_shared<std::string>();
  CLI::App* app = AddCommand(group, name, description, session,
                             [=](client::Client& client) -> int { return run(client, JobName(*job)); });
  app->add_option("job", *job, "Name of the job")->required();
  return app;
}

struct ListFlags {
  std::string state, base_model, dataset, filter;
  std::vector<std::string> labels;
  int limit = 50;
};

// A string literal of the filter language: quotes and backslashes are escaped.
std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return quoted + "\"";
}

std::string Filter(const ListFlags& flags) {
  std::vector<std::string> conditions;
  if (!flags.state.empty()) conditions.push_back(StrCat("state = ", absl::AsciiStrToUpper(flags.state)));
  if (!flags.base_model.empty())
    conditions.push_back(StrCat("base_model = ", Quoted(client::FullName(flags.base_model, "models"))));
  if (!flags.dataset.empty())
    conditions.push_back(StrCat("dataset = ", Quoted(client::FullName(flags.dataset, "datasets"))));
  for (const std::string& label : flags.labels) {
    const size_t equals = label.find('=');
    conditions.push_back(StrCat("labels.", label.substr(0, equals), " = ", Quoted(label.substr(equals + 1))));
  }
  if (!flags.filter.empty()) conditions.push_back(flags.filter);
  return absl::StrJoin(conditions, " AND ");
}

void AddList(CLI::App& group, Session& session) {
  auto flags = std::make_shared<ListFlags>();
  CLI::App* app =
      AddCommand(group, "list", "List jobs, newest first", session, [=, &session](client::Client& client) -> int {
        v1::ListFineTuningJobsRequest request;
        request.set_filter(Filter(*flags));
        auto response = ListAll<v1::ListFineTuningJobsResponse>(
            flags->limit, request, [&](const auto& r) { return client.ListFineTuningJobs(r); },
            [](auto& page) { return page.mutable_fine_tuning_jobs(); });
        if (!response.ok()) return session.Fail("cannot list the jobs", response.status());
        return session.Show(*response, [&] {
          return JobTable({response->fine_tuning_jobs().begin(), response->fine_tuning_jobs().end()}, session.Now(),
                          session.style());
        });
      });
  SetChoices(app->add_option("--state", flags->state, "Only jobs in this state"),
             EnumChoices(*v1::FineTuningJob::State_descriptor()));
  app->add_option("--base-model", flags->base_model, "Only jobs of this model")->type_name("MODEL");
  app->add_option("--dataset", flags->dataset, "Only jobs on this dataset")->type_name("DATASET");
  app->add_option("--label", flags->labels, "Only jobs with this label; may be repeated")
      ->check([](const std::string& text) { return text.find('=') == std::string::npos ? "must be KEY=VALUE" : ""; })
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app->add_option("--filter", flags->filter,
                  "Conditions joined by AND, for example 'state = RUNNING AND labels.team = \"nlp\"'");
  AddLimit(*app, &flags->limit);
}

void AddShow(CLI::App& group, Session& session) {
  AddOnJob(group, "show", "Show a job: state, progress, results, and its spec with every default filled in", session,
           [&session](client::Client& client, const std::string& name) -> int {
             v1::GetFineTuningJobRequest request;
             request.set_name(name);
             auto job = client.GetFineTuningJob(request);
             if (!job.ok()) return session.Fail("cannot show the job", job.status(), HintFor(job.status()));
             return session.Show(*job, [&] {
               return StrCat(JobDetails(*job, session.Now(), session.style()), "\n",
                             Paint(session.style(), Colour::kBold, "Spec"), "\n",
                             SpecYaml(job->has_effective_spec() ? job->effective_spec() : job->spec()));
             });
           });
}

// Of a verb: what came of it, or why not.
int ShowChanged(Session& session, const char* what, const absl::StatusOr<v1::FineTuningJob>& job) {
  if (!job.ok()) return session.Fail(StrCat("cannot ", what, " the job"), job.status(), HintFor(job.status()));
  return session.Show(*job, [&] { return StrCat(job->name(), " is ", StateText(job->state(), session.style()), "\n"); });
}

void AddCancel(CLI::App& group, Session& session) {
  auto wait = std::make_shared<bool>(false);
  CLI::App* app = AddOnJob(group, "cancel", "End a job early; its checkpoints stay", session,
                           [=, &session](client::Client& client, const std::string& name) -> int {
                             v1::CancelFineTuningJobRequest request;
                             request.set_name(name);
                             absl::StatusOr<v1::FineTuningJob> job = client.CancelFineTuningJob(request);
                             if (job.ok() && *wait) job = client::WaitForJob(client, name);
                             return ShowChanged(session, "cancel", job);
                           });
  app->add_flag("--wait", *wait, "Return when it has ended");
}

void AddPauseAndResume(CLI::App& group, Session& session) {
  AddOnJob(group, "pause", "Free a job's worker; the job writes a checkpoint first, and waits until it is resumed", session,
           [&session](client::Client& client, const std::string& name) -> int {
             v1::PauseFineTuningJobRequest request;
             request.set_name(name);
             return ShowChanged(session, "pause", client.PauseFineTuningJob(request));
           });
  AddOnJob(group, "resume", "Let a paused job go on", session, [&session](client::Client& client, const std::string& name) -> int {
    v1::ResumeFineTuningJobRequest request;
    request.set_name(name);
    return ShowChanged(session, "resume", client.ResumeFineTuningJob(request));
  });
}

void AddUpdate(CLI::App& group, Session& session) {
  auto priority = std::make_shared<int>(0);
  auto display_name = std::make_shared<std::string>();
  auto live = std::make_shared<v1::LiveSettings>();
  auto app = std::make_shared<CLI::App*>();
  *app = AddOnJob(group, "update", "Change a job that has not ended: its priority or name, or how it trains from the next step on", session,
                  [=, &session](client::Client& client, const std::string& name) -> int {
                    v1::UpdateFineTuningJobRequest request;
                    request.mutable_fine_tuning_job()->set_name(name);
                    request.mutable_fine_tuning_job()->set_priority(*priority);
                    request.mutable_fine_tuning_job()->set_display_name(*display_name);
                    *request.mutable_fine_tuning_job()->mutable_live_settings() = *live;
                    for (const auto& [flag, path] :
                         {std::pair("--priority", "priority"), std::pair("--display-name", "display_name"), std::pair("--lr-scale", "live_settings.learning_rate_scale"),
                          std::pair("--epochs", "live_settings.n_epochs"), std::pair("--patience", "live_settings.early_stopping_patience")}) {
                      if ((*app)->count(flag) > 0) request.mutable_update_mask()->add_paths(path);
                    }
                    if (request.update_mask().paths().empty()) {
                      session.Fail("nothing to change", absl::InvalidArgumentError("give at least one of the flags that `attune jobs update --help` lists"), "");
                      return kUsage;
                    }
                    return ShowChanged(session, "change", client.UpdateFineTuningJob(request));
                  });
  (*app)->add_option("--priority", *priority, "-100 to 100; higher goes first")->type_name("N");
  (*app)->add_option("--display-name", *display_name, "For people");
  (*app)->add_option_function<double>("--lr-scale", [live](const double& scale) { live->set_learning_rate_scale(scale); }, "Multiply every learning rate, over 0 to 1000")->type_name("X");
  (*app)->add_option_function<int>("--epochs", [live](const int& epochs) { live->set_n_epochs(epochs); }, "Epochs of the last phase, 1 to 1000")->type_name("N");
  (*app)->add_option_function<int>("--patience", [live](const int& patience) { live->set_early_stopping_patience(patience); },
                                   "Evaluations without improvement after which a phase ends; 0: never")->type_name("N");
}

void AddDelete(CLI::App& group, Session& session) {
  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* app =
      AddCommand(group, "delete", "Remove ended jobs with their checkpoints and events", session,
                 [=, &session](client::Client& client) -> int {
                   for (const std::string& name : *names) {
                     v1::DeleteFineTuningJobRequest request;
                     request.set_name(JobName(name));
                     const absl::Status status = client.DeleteFineTuningJob(request);
                     if (!status.ok())
                       return session.Fail(StrCat("cannot delete ", request.name()), status, HintFor(status));
                     session.Note(StrCat("Deleted ", request.name(), "\n"));
                   }
                   if (session.json()) session.PrintJson(v1::DeleteFineTuningJobResponse());
                   return kOk;
                 });
  app->add_option("jobs", *names, "Names of jobs")->required();
}

// A line of the log, or with `all` any event.
std::string LogText(const v1::JobEvent& event, bool all) {
  const std::string time = DateAndTime(ToTime(event.create_time()));
  if (event.has_log_line()) return StrCat(time, "  ", OneLine(event.log_line().text()), "\n");
  if (!all) return "";
  return StrCat(time, "  [", event.sequence(), "] ", OneLine(event.message()), "\n");
}

int FollowLogs(Session& session, client::Client& client, const std::string& job, bool all) {
  const absl::Status status = client::WatchJob(client, job, {}, [&](const v1::JobEvent& event) {
    if (session.json()) {
      if (all || event.has_log_line()) session.PrintJsonLine(event);
    } else {
      session.Print(LogText(event, all));
    }
    return true;
  });
  return status.ok() ? kOk : session.Fail("cannot follow the log", status, HintFor(status));
}

int ShowLogs(Session& session, client::Client& client, const std::string& job, bool all) {
  v1::ListJobEventsRequest request;
  request.set_parent(job);
  auto events = ListAll<v1::ListJobEventsResponse>(
      0, request, [&](const auto& r) { return client.ListJobEvents(r); },
      [](auto& page) { return page.mutable_events(); });
  if (!events.ok()) return session.Fail("cannot show the log", events.status(), HintFor(events.status()));
  v1::ListJobEventsResponse shown;
  for (const v1::JobEvent& event : events->events()) {
    if (all || event.has_log_line()) *shown.add_events() = event;
  }
  return session.Show(shown, [&] {
    std::string text;
    for (const v1::JobEvent& event : shown.events()) StrAppend(&text, LogText(event, all));
    return text.empty() ? std::string("No log lines. --all shows every event.\n") : text;
  });
}

void AddLogs(CLI::App& group, Session& session) {
  auto all = std::make_shared<bool>(false);
  auto follow = std::make_shared<bool>(false);
  CLI::App* app =
      AddOnJob(group, "logs", "Show the log of a job's worker", session,
               [=, &session](client::Client& client, const std::string& job) -> int {
                 return *follow ? FollowLogs(session, client, job, *all) : ShowLogs(session, client, job, *all);
               });
  app->add_flag("--all", *all, "Every event, not only log lines");
  app->add_flag("-f,--follow", *follow, "Go on until the job ends");
}

void AddMetrics(CLI::App& group, Session& session) {
  auto last = std::make_shared<int>(20);
  CLI::App* app =
      AddOnJob(group, "metrics", "Show training metrics by step", session,
               [=, &session](client::Client& client, const std::string& job) -> int {
                 v1::ListJobMetricsRequest request;
                 request.set_parent(job);
                 auto points = ListAll<v1::ListJobMetricsResponse>(
                     0, request, [&](const auto& r) { return client.ListJobMetrics(r); },
                     [](auto& page) { return page.mutable_points(); });
                 if (!points.ok())
                   return session.Fail("cannot show the metrics", points.status(), HintFor(points.status()));
                 return session.Show(*points, [&] {
                   return MetricTable({points->points().begin(), points->points().end()}, *last, session.style());
                 });
               });
  app->add_option("--last", *last, "Points to show as text; 0: all. Default: 20")
      ->check(Silent(CLI::NonNegativeNumber))
      ->type_name("N");
}

}  // namespace

void AddJobCommands(CLI::App& root, Session& session) {
  CLI::App* group = AddGroup(root, "jobs", "Create, follow and end fine-tuning jobs");
  AddCreateJobCommand(*group, session);
  AddPlanJobCommand(*group, session);
  AddList(*group, session);
  AddShow(*group, session);
  AddOnJob(*group, "watch", "Follow a job until it ends; the exit code tells how", session,
           [&session](client::Client& client, const std::string& job) -> int {
             return WatchOnConsole(session, client, job);
           });
  AddCancel(*group, session);
  AddPauseAndResume(*group, session);
  AddUpdate(*group, session);
  AddDelete(*group, session);
  AddLogs(*group, session);
  AddMetrics(*group, session);
  AddEvaluateCommand(*group, session);
  AddVerifyResumeCommand(*group, session);
  AddReportCommand(*group, session);
}

}  // namespace attune::cli
