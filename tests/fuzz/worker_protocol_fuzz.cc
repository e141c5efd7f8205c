// What workers say, up to the pool: who may say it, when, and who is told. The input is a list of moves; each begins
// with a byte that says which, and one more.
#include <algorithm>
#include <csignal>
#include <map>
#include <utility>
#include <vector>

#include "google/protobuf/stubs/logging.h"
#include "server/base/log.h"
#include "server/base/str_cat.h"
#include "server/workers/supervised_worker_pool.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fuzz/driver/fuzz.h"

namespace attune::fuzz {
namespace {

using workers::AttemptEnd;
using workers::AttemptId;

// Processes that are nothing but their names; killed ones are gone at once.
class NoProcesses final : public workers::WorkerLauncher {
 public:
  absl::Status Launch(const workers::LaunchRequest& request, ExitCallback on_exit) override {
    requests.push_back(request);
    running_[request.worker_id] = std::move(on_exit);
    return absl::OkStatus();
  }
  void Kill(const std::string& worker_id) override { Exit(worker_id, {true, SIGKILL}); }
  std::vector<std::string> LogTail(const std::string&) override { return {"last words"}; }

  void Exit(const std::string& worker_id, ExitStatus status) {
    if (auto node = running_.extract(worker_id); !node.empty()) node.mapped()(worker_id, status, {"last words"});
  }
  std::vector<workers::LaunchRequest> requests;

 private:
  std::map<std::string, ExitCallback> running_;
};

// Each attempt ends once, and nothing is heard of it afterwards.
class Listener final : public workers::WorkerPoolListener {
 public:
  void OnAttemptMessage(const AttemptId& attempt, worker::v1::ConnectRequest message) override {
    Require(open == attempt, "messages are about the attempt that a worker has");
    Require(!message.has_hello() && !message.has_finished() && !message.has_failed(),
            "what ends an attempt is no message about it");
  }
  void OnAttemptEnded(const AttemptId& attempt, AttemptEnd) override {
    Require(open == attempt, "an attempt ends once");
    open.reset();
  }
  void OnWorkersChanged() override {}
  std::optional<AttemptId> open;
};

class Game {
 public:
  Game() : pool_({.memory_kills = [] { return int64_t{0}; }, .own_thread = false}, launcher_, clock_) {
    pool_.Start(listener_);
  }
  ~Game() {
    CloseAll();
    pool_.Stop(absl::ZeroDuration());
    Require(!listener_.open.has_value(), "every attempt has ended when the pool stops");
    Require(waiting_ == 0, "every request is answered when the pool stops");
  }

  void Move(Pieces& pieces) {
    (void)pool_.SuperviseNow();
    const uint8_t move = pieces.Byte(), detail = pieces.Byte();
    switch (move % 8) {
      case 0:
        return Say(pieces.TakeCounted(), detail, /*fence_it=*/false);
      case 1:
        return Say(pieces.TakeCounted(), detail, /*fence_it=*/true);
      case 2:
        return Connect(pieces, detail);
      case 3:
        return Assign(detail);
      case 4:
        return Ask(detail);
      case 5:
        return Stop(detail);
      case 6:
        return Lose(detail);
      default:
        clock_.Advance(absl::Seconds(detail * detail));
    }
  }

 private:
  // A worker that was launched says hello, or somebody says the hello of the input.
  void Connect(Pieces& pieces, uint8_t detail) {
    worker::v1::Hello hello;
    if (detail % 4 == 3) {
      if (!Parse(pieces.TakeCounted(), hello)) return;
    } else if (!launcher_.requests.empty()) {
      const workers::LaunchRequest& request =
          launcher_.requests[launcher_.requests.size() - 1 - detail / 4 % launcher_.requests.size()];
      hello.set_worker_id(request.worker_id);
      hello.set_secret(request.secret);
    }
    auto session = workers::WorkerSession::WithoutStreamForTest(hello.worker_id());
    if (pool_.SessionHostForTest().OnHello(session, hello).ok()) sessions_.push_back(std::move(session));
  }

  // As its stream would, gives the pool what can be parsed.
  void Say(std::string_view bytes, uint8_t detail, bool fence_it) {
    worker::v1::ConnectRequest message;
    if (sessions_.empty() || !Parse(bytes, message)) return;
    if (fence_it && listener_.open.has_value()) {
      message.mutable_fence()->set_job(listener_.open->job);
      message.mutable_fence()->set_attempt(listener_.open->attempt);
    }
    pool_.SessionHostForTest().OnMessage(*sessions_[detail % sessions_.size()], std::move(message));
  }

  void Assign(uint8_t detail) {
    if (listener_.open.has_value()) return;
    worker::v1::Assign assignment;
    assignment.mutable_fence()->set_job(StrCat("fineTuningJobs/j", detail % 2));
    assignment.mutable_fence()->set_attempt(++attempts_);
    if (pool_.Assign(assignment).ok())
      listener_.open = AttemptId{assignment.fence().job(), assignment.fence().attempt()};
  }

  void Ask(uint8_t detail) {
    ++waiting_;
    const auto answered = [this, there = std::make_shared<bool>(false)](const auto&) {
      Require(!std::exchange(*there, true), "a request is answered once");
      --waiting_;
    };
    switch (detail % 3) {
      case 0:
        return pool_.Predict({}, answered);
      case 1:
        request_ = pool_.Evaluate({}, {.progress = [](const v1::EvaluateProgress&) {}, .done = answered});
        return;
      default:
        request_ = pool_.Probe({}, answered);
    }
  }

  void Stop(uint8_t detail) {
    const AttemptId attempt = listener_.open.value_or(AttemptId{"fineTuningJobs/j0", 1});
    switch (detail % 6) {
      case 0:
        return pool_.Cancel(attempt);
      case 1:
        return pool_.Suspend(attempt);
      case 2:
        return pool_.Kill(attempt);
      case 3:
        return pool_.CancelEvaluation(request_);
      case 4:
        return pool_.CancelProbe(request_);
      default:
        pool_.Adjust(attempt, {});
    }
  }

  // A stream ends, or a process.
  void Lose(uint8_t detail) {
    if (detail % 2 == 0) {
      if (!sessions_.empty()) CloseAt(detail / 2 % sessions_.size());
    } else if (!launcher_.requests.empty()) {
      const std::string id = launcher_.requests[detail / 2 % launcher_.requests.size()].worker_id;
      launcher_.Exit(id, {detail % 4 == 1, detail / 16});
    }
  }

  void CloseAt(size_t at) {
    const auto session = sessions_[at];
    sessions_.erase(sessions_.begin() + static_cast<ptrdiff_t>(at));
    pool_.SessionHostForTest().OnClosed(*session);
  }
  void CloseAll() {
    while (!sessions_.empty()) CloseAt(sessions_.size() - 1);
  }
  template <typename Message>
  static bool Parse(std::string_view bytes, Message& message) {
    return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  }

  ManualClock clock_;
  NoProcesses launcher_;
  Listener listener_;
  int attempts_ = 0, waiting_ = 0;
  int64_t request_ = 0;
  workers::SupervisedWorkerPool pool_;
  std::vector<std::shared_ptr<workers::WorkerSession>> sessions_;
};

}  // namespace
}  // namespace attune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attune;
  SetMinLogLevel(LogLevel::kError);
  google::protobuf::SetLogHandler(nullptr);  // what cannot be parsed is refused, and no news
  constexpr int kMostMoves = 32;
  fuzz::Pieces pieces(fuzz::Input(data, size));
  fuzz::Game game;
  for (int i = 0; i < kMostMoves && !pieces.empty(); ++i) game.Move(pieces);
  return 0;
}
