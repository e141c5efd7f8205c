#include "tests/server/scheduler/simulation/simulated_clients.h"

#include <algorithm>
#include <utility>

#include "server/jobs/job_state.h"

namespace attune::simulation {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(8);
constexpr const char* kVerbNames[] = {"cancel", "pause", "resume", "update", "delete", "delete a checkpoint of"};

// Worth another try with the same words.
bool MayBeRepeated(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status) || absl::IsInternal(status);
}

}  // namespace

SimulatedClients::SimulatedClients(World& world, const Scenario& scenario, Rules& rules, SimulatedServer& server)
    : world_(world), scenario_(scenario), rules_(rules), server_(server) {}

void SimulatedClients::Begin() {
  const int64_t window = absl::ToInt64Milliseconds(scenario_.faults_end) / 2;
  for (int i = 0; i < scenario_.jobs; ++i) {
    auto wish = std::make_unique<Wish>();
    v1::FineTuningSpec& spec = *wish->request.mutable_spec();
    spec.set_base_model("models/mini");
    spec.set_dataset("datasets/tweets");
    spec.mutable_scheduling()->set_priority(static_cast<int32_t>(world_.random.Between(-1, 2)));
    spec.mutable_scheduling()->set_project(StrCat("p", world_.random.Between(0, 2)));
    spec.mutable_hyperparameters()->set_batch_size(static_cast<int32_t>(world_.random.Between(1, 60)));
    if (!world_.random.Chance(scenario_.memory_unsaid)) spec.mutable_resources()->set_memory_bytes(MemoryOf(spec));
    // A client without one does not try again, and so may not know of its job.
    if (world_.random.Chance(0.85)) wish->request.set_request_id(StrCat("request-", i));
    wishes_.push_back(std::move(wish));
    world_.After(world_.random.Milliseconds(0, window), [this, w = wishes_.back().get()] { Create(*w); });
  }
}

void SimulatedClients::Send(Call call, Reply done, int* under_way) {
  auto answered = std::make_shared<bool>(false);
  auto shared = std::make_shared<Call>(std::move(call));
  auto once = std::make_shared<Reply>([answered, done = std::move(done)](Answer answer) {
    if (!std::exchange(*answered, true)) done(std::move(answer));
  });
  const int copies = world_.FaultChance(scenario_.call_doubled) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    if (world_.FaultChance(scenario_.call_lost)) continue;
    if (under_way != nullptr) ++*under_way;
    world_.After(world_.Latency(), [this, shared, once, under_way] {
      if (under_way != nullptr) --*under_way;
      Reply back = [this, once](Answer answer) {
        if (world_.FaultChance(scenario_.call_lost)) return;
        world_.After(world_.Latency(), [once, answer = std::move(answer)]() mutable { (*once)(std::move(answer)); });
      };
      if (server_.scheduler() == nullptr) return back(absl::UnavailableError("the server is down"));
      (*shared)(*server_.scheduler(), std::move(back));
    });
  }
  world_.After(kTimeout, [once] { (*once)(absl::DeadlineExceededError("no answer")); });
}

void SimulatedClients::Create(Wish& wish) {
  const std::string id = wish.request.request_id();
  world_.Trace("a client asks for a job, request_id \"", id, "\", priority ", wish.request.spec().scheduling().priority());
  Send([request = wish.request](scheduler::Scheduler& scheduler, Reply back) { scheduler.CreateJob(request, absl::OkStatus(), std::move(back)); },
       [this, id, w = &wish](Answer answer) {
         world_.Trace("answer to request_id \"", id, "\": ", answer.ok() ? answer->name() : answer.status().ToString());
         if (answer.ok()) {
           rules_.OnCreated(id, answer->name());
           if (std::exchange(w->settled, true)) return;
           w->name = answer->name();
           if (world_.random.Chance(0.7)) {
             watches_.push_back(std::make_shared<Watch>(Watch{.id = w->name.substr(w->name.rfind('/') + 1)}));
             Subscribe(watches_.back());
           }
           Steer(*w);
           if (!id.empty() && world_.random.Chance(0.1)) CreateOtherwise(*w);
         } else if (id.empty()) {
           w->settled = true;
         } else if (MayBeRepeated(answer.status())) {
           world_.After(world_.random.Milliseconds(100, 3000), [this, w] { Create(*w); });
         } else {
           world_.Fail("request ", id, " was refused: ", answer.status().ToString());
         }
       },
       &wish.under_way);
}

// The same request_id with another payload.
void SimulatedClients::CreateOtherwise(const Wish& wish) {
  v1::CreateFineTuningJobRequest request = wish.request;
  request.set_display_name("something else");
  Send([request](scheduler::Scheduler& scheduler, Reply back) { scheduler.CreateJob(request, absl::OkStatus(), std::move(back)); },
       [this](Answer answer) {
         if (!absl::IsAlreadyExists(answer.status()) && (answer.ok() || !MayBeRepeated(answer.status()))) {
           world_.Fail("a request_id with another payload was answered: ", answer.status().ToString());
         }
       },
       &const_cast<Wish&>(wish).under_way);
}

void SimulatedClients::Steer(Wish& wish) {
  const int64_t verbs = world_.random.Between(0, static_cast<int64_t>(2 * scenario_.verbs));
  for (int64_t i = 0; i < verbs; ++i) {
    const int64_t kind = world_.random.Between(0, 99);
    const Verb verb = kind < 10 ? Verb::kCancel : kind < 40 ? Verb::kPause : kind < 65 ? Verb::kResume : kind < 85 ? Verb::kUpdate : kind < 92 ? Verb::kDelete : Verb::kDeleteCheckpoint;
    world_.After(world_.random.Milliseconds(0, 30000), [this, w = &wish, verb] {
      // A creation that arrives after the deletion would be a new one: nobody deletes while one may be under way.
      if (verb == Verb::kDelete && w->under_way > 0) return;
      if (verb == Verb::kDeleteCheckpoint) return DeleteOldCheckpoint(w->name);
      SendVerb(w->name, verb, static_cast<int>(world_.random.Between(-1, 3)), 3);
    });
  }
}

void SimulatedClients::SendVerb(const std::string& name, Verb verb, int priority, int tries) {
  world_.Trace("a client asks to ", kVerbNames[static_cast<int>(verb)], " ", name);
  auto arrival = std::make_shared<int>(0);
  Send(
      [this, name, verb, priority, arrival](scheduler::Scheduler& scheduler, Reply back) {
        *arrival = rules_.OnArrival(verb, name);
        world_.Trace("arrives: ", kVerbNames[static_cast<int>(verb)], " ", name);
        v1::UpdateFineTuningJobRequest update;
        switch (verb) {
          case Verb::kCancel:
            return scheduler.CancelJob(name, std::move(back));
          case Verb::kPause:
            return scheduler.PauseJob(name, std::move(back));
          case Verb::kResume:
            return scheduler.ResumeJob(name, std::move(back));
          case Verb::kUpdate:
            update.mutable_fine_tuning_job()->set_name(name);
            update.mutable_fine_tuning_job()->set_priority(priority);
            update.mutable_update_mask()->add_paths("priority");
            return scheduler.UpdateJob(update, std::move(back));
          default:
            return scheduler.DeleteJob(name, [back](const absl::Status& status) { back(status.ok() ? Answer(v1::FineTuningJob()) : status); });
        }
      },
      [this, name, verb, priority, tries, arrival](Answer answer) {
        world_.Trace("answer to ", kVerbNames[static_cast<int>(verb)], " ", name, ": ", answer.ok() ? jobs::StateName(answer->state()) : answer.status().ToString());
        if (answer.ok()) return rules_.OnAnswer(verb, name, priority, *arrival);
        if (!MayBeRepeated(answer.status())) return rules_.OnRefusal(name, answer.status());
        if (tries > 1) world_.After(world_.random.Milliseconds(100, 2000), [=, this] { SendVerb(name, verb, priority, tries - 1); });
      });
}

void SimulatedClients::DeleteOldCheckpoint(const std::string& name) {
  Send(
      [this, name](scheduler::Scheduler& scheduler, Reply back) {
        v1::ListCheckpointsRequest request;
        request.set_parent(name);
        const auto list = scheduler.ListCheckpoints(request);
        if (!list.ok() || list->checkpoints().empty()) return back(v1::FineTuningJob());
        rules_.OnArrival(Verb::kDeleteCheckpoint, name);
        const std::string checkpoint = list->checkpoints(static_cast<int>(world_.random.Between(0, list->checkpoints_size() - 1))).name();
        world_.Trace("arrives: delete ", checkpoint);
        scheduler.DeleteCheckpoint(checkpoint, [back](const absl::Status& status) { back(status.ok() ? Answer(v1::FineTuningJob()) : status); });
      },
      [](const Answer&) {});
}

std::vector<v1::FineTuningJob> SimulatedClients::Jobs() {
  if (server_.scheduler() == nullptr) return {};
  const v1::ListFineTuningJobsResponse list = server_.scheduler()->ListJobs({}, ProjectSet::All()).value();
  return {list.fine_tuning_jobs().begin(), list.fine_tuning_jobs().end()};
}

void SimulatedClients::WrapUp() {
  for (const v1::FineTuningJob& job : Jobs()) {
    if (job.state() == v1::FineTuningJob::STATE_PAUSED) SendVerb(job.name(), Verb::kResume, 0, 1);
  }
}

bool SimulatedClients::Finished() {
  if (server_.scheduler() == nullptr) return false;
  for (const auto& wish : wishes_) {
    if (!wish->settled || wish->under_way > 0) return false;
  }
  for (const v1::FineTuningJob& job : Jobs()) {
    if (!jobs::IsFinal(job.state())) return false;
  }
  return std::all_of(watches_.begin(), watches_.end(), [](const auto& watch) { return watch->over; });
}

void SimulatedClients::DropWatches() {
  for (const auto& watch : watches_) watch->subscription = nullptr;
}

void SimulatedClients::RenewWatches() {
  for (const auto& watch : watches_) {
    if (!watch->over) world_.After(world_.Latency(), [this, watch] { Subscribe(watch); });
  }
}

void SimulatedClients::Subscribe(const std::shared_ptr<Watch>& watch) {
  if (watch->over || watch->subscription != nullptr || server_.scheduler() == nullptr) return;
  auto subscription = server_.events().Subscribe(watch->id, rules_.LastEventOf(watch->id), [this, watch] {
    world_.AfterInServer(world_.Latency(), [this, watch] { Take(watch); });
  });
  if (!subscription.ok()) {
    watch->over = true;
    if (absl::IsNotFound(subscription.status())) return rules_.OnWatchedJobGone(watch->id);
    return world_.Fail("job ", watch->id, " cannot be watched after event ", rules_.LastEventOf(watch->id), ": ", subscription.status().ToString());
  }
  watch->subscription = *std::move(subscription);
  Take(watch);
}

void SimulatedClients::Take(const std::shared_ptr<Watch>& watch) {
  while (watch->subscription != nullptr) {
    auto items = watch->subscription->Take(static_cast<int>(world_.random.Between(1, 20)));
    if (!items.ok()) {
      watch->over = true;
      watch->subscription = nullptr;
      return rules_.OnWatchedJobGone(watch->id);
    }
    for (const auto& item : *items) rules_.OnEvent(watch->id, item);
    if (watch->subscription->Ended()) {
      watch->over = true;
      watch->subscription = nullptr;
    } else if (items->empty()) {
      return;
    }
  }
}

}  // namespace attune::simulation
