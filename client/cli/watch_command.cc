#include "client/cli/watch_command.h"

#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "client/cli/render/format.h"
#include "client/cli/render/job_text.h"
#include "client/cli/render/job_view.h"
#include "client/cli/render/watch_text.h"
#include "client/cpp/names.h"
#include "client/cpp/watch.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr absl::Duration kRedrawInterval = absl::Milliseconds(250);
constexpr absl::Duration kRefreshInterval = absl::Seconds(2);
constexpr char kListHint[] = "`attune jobs list` shows the jobs there are";

// While it lives, Ctrl-C leaves with a word about the job, which goes on.
class InterruptNote {
 public:
  explicit InterruptNote(const std::string& text) {
    const size_t size = std::min(text.size(), sizeof(text_) - 1);
    std::memcpy(text_, text.data(), size);
    size_ = size;
    struct sigaction action{};
    action.sa_handler = [](int) {
      (void)!write(STDERR_FILENO, text_, size_);
      _exit(130);
    };
    sigaction(SIGINT, &action, &before_);
  }
  ~InterruptNote() { sigaction(SIGINT, &before_, nullptr); }
  InterruptNote(const InterruptNote&) = delete;
  InterruptNote& operator=(const InterruptNote&) = delete;

 private:
  // A signal handler reaches nothing but static data.
  static inline char text_[256];
  static inline size_t size_ = 0;
  struct sigaction before_{};
};

absl::StatusOr<v1::FineTuningJob> Fetch(client::Client& client, const std::string& job) {
  v1::GetFineTuningJobRequest request;
  request.set_name(job);
  return client.GetFineTuningJob(request);
}

// The block of lines on a terminal. A thread of its own redraws it, because time passes and the server's estimates
// change without events.
class LiveScreen {
 public:
  LiveScreen(Session& session, client::Client& client, const v1::FineTuningJob& job)
      : session_(session), client_(client) {
    {
      absl::MutexLock lock(&mutex_);
      Apply(job, session.Now(), &view_);
    }
    ticker_ = std::thread([this] { Tick(); });
  }
  ~LiveScreen() {
    if (!stop_.HasBeenNotified()) stop_.Notify();
    if (ticker_.joinable()) ticker_.join();
  }
  void OnEvent(const v1::JobEvent& event) {
    absl::MutexLock lock(&mutex_);
    Apply(event, &view_);
    notice_.clear();
  }
  void OnWaiting(const v1::FineTuningJob& job) {
    absl::MutexLock lock(&mutex_);
    Apply(job, session_.Now(), &view_);
  }
  void OnCut(const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    notice_ = StrCat("connection lost, trying again: ", OneLine(std::string(status.message())));
  }
  // Draws for the last time.
  void End(const v1::FineTuningJob* job) {
    stop_.Notify();
    ticker_.join();
    absl::MutexLock lock(&mutex_);
    if (job != nullptr) Apply(*job, session_.Now(), &view_);
    notice_.clear();
    Draw();
  }

 private:
  void Tick() {
    absl::Time next_refresh = session_.Now() + kRefreshInterval;
    do {
      {
        absl::MutexLock lock(&mutex_);
        Draw();
      }
      if (session_.Now() < next_refresh) continue;
      next_refresh = session_.Now() + kRefreshInterval;
      std::string name;
      {
        absl::MutexLock lock(&mutex_);
        name = view_.job.name();
      }
      auto job = Fetch(client_, name);  // an error here is the watch's to report
      absl::MutexLock lock(&mutex_);
      if (job.ok()) Apply(*job, session_.Now(), &view_);
    } while (!stop_.WaitForNotificationWithTimeout(kRedrawInterval));
  }

  void Draw() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<std::string> lines = LiveView(view_, session_.Now(), session_.style());
    if (!notice_.empty())
      lines.push_back(Paint(session_.style(), Colour::kYellow, Fit(notice_, session_.style().width)));
    session_.Print(Redraw(drawn_, lines));
    drawn_ = static_cast<int>(lines.size());
  }

  Session& session_;
  client::Client& client_;
  absl::Mutex mutex_;
  JobView view_ ABSL_GUARDED_BY(mutex_);
  std::string notice_ ABSL_GUARDED_BY(mutex_);
  int drawn_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Notification stop_;
  std::thread ticker_;
};

absl::Status WatchLive(Session& session, client::Client& client, const v1::FineTuningJob& job) {
  LiveScreen screen(session, client, job);
  const absl::Status status =
      client::WatchJob(client, job.name(),
                       {.on_cut = [&](const absl::Status& cut) { screen.OnCut(cut); },
                        .on_waiting = [&](const v1::FineTuningJob& waiting) { screen.OnWaiting(waiting); }},
                       [&](const v1::JobEvent& event) {
                         screen.OnEvent(event);
                         return true;
                       });
  auto last = Fetch(client, job.name());
  screen.End(last.ok() ? &*last : nullptr);
  return status;
}

absl::Status WatchPlain(Session& session, client::Client& client, const v1::FineTuningJob& job) {
  JobView view;
  Apply(job, session.Now(), &view);
  PlainLog log(session.style());
  return client::WatchJob(
      client, job.name(),
      {.on_cut =
           [&](const absl::Status& cut) {
             session.Print(StrCat("connection lost, trying again: ", OneLine(std::string(cut.message())), "\n"));
           },
       .on_waiting =
           [&](const v1::FineTuningJob& waiting) {
             Apply(waiting, session.Now(), &view);
             session.Print(StrCat("waiting: ", OneLine(waiting.state_reason()), "\n"));
           }},
      [&](const v1::JobEvent& event) {
        Apply(event, &view);
        if (log.WantsJob(event, view, session.Now())) {
          auto fresh = Fetch(client, job.name());
          if (fresh.ok()) Apply(*fresh, session.Now(), &view);
        }
        for (const std::string& line : log.Lines(event, view, session.Now())) session.Print(line + "\n");
        return true;
      });
}

absl::Status WatchJson(Session& session, client::Client& client, const std::string& job) {
  return client::WatchJob(client, job, {}, [&](const v1::JobEvent& event) {
    session.PrintJsonLine(event);
    return true;
  });
}

int ExitCodeOfJob(const v1::FineTuningJob& job) {
  switch (job.state()) {
    case v1::FineTuningJob::STATE_SUCCEEDED:
      return kOk;
    case v1::FineTuningJob::STATE_CANCELLED:
      return kCancelled;
    default:
      return kFailed;
  }
}

}  // namespace

int WatchOnConsole(Session& session, client::Client& client, const std::string& name) {
  auto job = Fetch(client, name);
  if (!job.ok())
    return session.Fail("cannot watch the job", job.status(), absl::IsNotFound(job.status()) ? kListHint : "");
  const std::string id = client::ShortName(name);
  absl::Status status;
  {
    InterruptNote note(StrCat("\nThe job goes on. To see it again: attune jobs watch ", id,
                              "   To end it: attune jobs cancel ", id, "\n"));
    status = session.json()                      ? WatchJson(session, client, name)
             : session.console().out_is_terminal ? WatchLive(session, client, *job)
                                                 : WatchPlain(session, client, *job);
  }
  if (!status.ok()) {
    return session.Fail("cannot watch the job any longer", status,
                        StrCat("the job does not need a watcher; later: attune jobs watch ", id));
  }
  job = Fetch(client, name);
  if (!job.ok()) return session.Fail("cannot read the job's result", job.status());
  session.Note("\n" + JobSummary(*job, session.style()));
  return ExitCodeOfJob(*job);
}

}  // namespace attune::cli
