#include "server/main/curves.h"

#include <algorithm>
#include <cmath>
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
constexpr int kPage = 1000;

metrics::HttpReply NotThere(std::string_view what) {
  return {.status = 404, .body = json{{"error", what}}.dump(-1, ' ', false, json::error_handler_t::replace)};
}

// Training points, thinned as they come: whenever there are too many every second one goes, and from then on only every second one is taken. Evaluations stay.
class Thinned {
 public:
  void Add(json point, bool evaluation) {
    if (!evaluation && seen_++ % stride_ != 0) return;
    points_.push_back({std::move(point), evaluation});
    training_ += !evaluation;
    if (training_ <= kMostPoints) return;
    std::vector<Point> kept;
    size_t i = 0;
    for (Point& each : points_) {
      if (each.evaluation || i++ % 2 == 0) kept.push_back(std::move(each));
    }
    points_ = std::move(kept);
    training_ = (training_ + 1) / 2;
    stride_ *= 2;
  }

  json Take() {
    json all = json::array();
    for (Point& each : points_) all.push_back(std::move(each.point));
    return all;
  }

 private:
  struct Point {
    json point;
    bool evaluation;
  };
  std::vector<Point> points_;
  size_t training_ = 0, seen_ = 0, stride_ = 1;
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
  const absl::StatusOr<v1::ListFineTuningJobsResponse> list = scheduler_.ListJobs(request);
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
  Thinned points;
  int64_t after = 0;
  while (true) {
    const absl::StatusOr<std::vector<v1::JobEvent>> events = log_.List(id, after, kPage);
    if (!events.ok()) return {.status = 500, .body = json{{"error", std::string(events.status().message())}}.dump(-1, ' ', false, json::error_handler_t::replace)};
    for (const v1::JobEvent& event : *events) {
      if (event.has_metrics()) points.Add(ToJson(event), IsEvaluation(event.metrics()));
    }
    if (static_cast<int>(events->size()) < kPage) break;
    after = events->back().sequence();
  }
  return {.body = points.Take().dump(-1, ' ', false, json::error_handler_t::replace)};
}

}  // namespace attune
