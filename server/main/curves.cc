#include "server/main/curves.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "nlohmann/json.hpp"
#include "server/base/str_cat.h"
#include "server/jobs/job_state.h"
#include "server/jobs/timestamps.h"

namespace attune {
namespace {

using nlohmann::json;

constexpr int kListedJobs = 200;
constexpr size_t kMostPoints = 2000;
constexpr int kPageRows = 1000;
constexpr int kMostReaders = 2;  // at once; the exposer has twice as many threads

metrics::HttpReply NotThere(std::string_view what) {
  return {.status = 404, .body = json{{"error", what}}.dump(-1, ' ', false, json::error_handler_t::replace)};
}

// Points, thinned as they come: whenever there are too many every second one goes, and from then on only every second one is taken.
class Thinned {
 public:
  // Whether the next point is one to Add.
  bool Wants() { return seen_++ % stride_ == 0; }

  void Add(int64_t sequence, json point) {
    points_.emplace_back(sequence, std::move(point));
    if (points_.size() <= kMostPoints) return;
    for (size_t i = 0; 2 * i < points_.size(); ++i) points_[i] = std::move(points_[2 * i]);
    points_.resize((points_.size() + 1) / 2);
    stride_ *= 2;
  }

  std::vector<std::pair<int64_t, json>> Take() { return std::move(points_); }

 private:
  std::vector<std::pair<int64_t, json>> points_;
  size_t seen_ = 0, stride_ = 1;
};

bool IsEvaluation(const v1::MetricPoint& point) {
  return std::all_of(point.values().begin(), point.values().end(), [](const auto& value) { return absl::StartsWith(value.first, "eval_"); });
}

json ToJson(const v1::JobEvent& event) {
  const v1::MetricPoint& metrics = event.metrics();
  json point = {{"time", absl::ToUnixMillis(jobs::FromTimestamp(event.create_time()))},
                {"attempt", event.attempt()},
                {"step", metrics.step()},
                {"epoch", metrics.epoch()},
                {"phase", metrics.phase()}};
  for (const auto& [name, value] : metrics.values()) point[name] = std::isfinite(value) ? json(value) : json(nullptr);
  return point;
}

}  // namespace

metrics::HttpReply Curves::Answer(const metrics::HttpRequest& request) const {
  constexpr std::string_view kJobs = "/jobs", kMetrics = "/metrics";
  const std::string& path = request.path;
  if (path == kJobs || path == "/jobs/") return Jobs();
  if (path.size() > kJobs.size() + 1 + kMetrics.size() && absl::EndsWith(path, AbslView(kMetrics))) {
    const std::string id = path.substr(kJobs.size() + 1, path.size() - kJobs.size() - 1 - kMetrics.size());
    if (id.find('/') == std::string::npos) return Metrics(id);
  }
  return NotThere("there are /jobs and /jobs/{job}/metrics");
}

metrics::HttpReply Curves::Jobs() const {
  v1::ListFineTuningJobsRequest request;
  request.set_page_size(kListedJobs);
  const absl::StatusOr<v1::ListFineTuningJobsResponse> list = scheduler_.ListJobs(request, ProjectSet::All());
  json all = json::array();
  if (list.ok()) {
    for (const v1::FineTuningJob& job : list->fine_tuning_jobs()) {
      all.push_back({{"job", job.name()},
                     {"display_name", job.display_name()},
                     {"state", jobs::StateName(job.state())},
                     {"project", job.effective_spec().scheduling().project()},
                     {"model", job.spec().base_model()},
                     {"create_time", absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", jobs::FromTimestamp(job.create_time()), absl::UTCTimeZone())}});
    }
  }
  return {.body = all.dump(-1, ' ', false, json::error_handler_t::replace)};
}

metrics::HttpReply Curves::Metrics(const std::string& id) const {
  if (const absl::Status status = scheduler_.GetJob(StrCat("fineTuningJobs/", id)).status(); !status.ok()) return NotThere(std::string(status.message()));
  // A long job's history takes a while to read: scrapes must find a thread meanwhile.
  if (readers_.fetch_add(1) >= kMostReaders) {
    --readers_;
    return {.status = 503, .body = json{{"error", "other curves are being read; try again in a moment"}}.dump()};
  }
  metrics::HttpReply reply = Read(id);
  --readers_;
  return reply;
}

metrics::HttpReply Curves::Read(const std::string& id) const {
  Thinned training, evaluations;
  int64_t after = 0;
  while (true) {
    const absl::StatusOr<std::vector<v1::JobEvent>> events = log_.List(id, after, kPageRows);
    if (!events.ok()) return {.status = 500, .body = json{{"error", std::string(events.status().message())}}.dump(-1, ' ', false, json::error_handler_t::replace)};
    for (const v1::JobEvent& event : *events) {
      if (!event.has_metrics()) continue;
      Thinned& points = IsEvaluation(event.metrics()) ? evaluations : training;
      if (points.Wants()) points.Add(event.sequence(), ToJson(event));
    }
    if (static_cast<int>(events->size()) < kPageRows) break;
    after = events->back().sequence();
  }
  std::vector<std::pair<int64_t, json>> all = training.Take(), more = evaluations.Take();
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  json body = json::array();
  for (auto& [sequence, point] : all) body.push_back(std::move(point));
  return {.body = body.dump(-1, ' ', false, json::error_handler_t::replace)};
}

}  // namespace attune
