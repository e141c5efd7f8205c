#include "server/workers/worker_describe.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include "nlohmann/json.hpp"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/base/subprocess.h"

namespace attune::workers {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxOutputBytes = 4 << 20;
constexpr size_t kShownErrorBytes = 2000;

// Reads both pipes until the child closes them. False when the deadline passed first.
bool ReadOutputs(const Subprocess& child, absl::Time deadline, std::string& out, std::string& err) {
  struct pollfd fds[2] = {{child.stdout_fd(), POLLIN, 0}, {child.stderr_fd(), POLLIN, 0}};
  std::string* texts[2] = {&out, &err};
  char buffer[1 << 14];
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0) return false;
    if (poll(fds, 2, static_cast<int>(std::min<int64_t>(left, 1 << 30))) < 0 && errno != EINTR) return false;
    for (int i = 0; i < 2; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      ssize_t got = read(fds[i].fd, buffer, sizeof(buffer));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0 || texts[i]->size() > kMaxOutputBytes) {
        fds[i].fd = -1;  // ignored by poll
      } else {
        texts[i]->append(buffer, static_cast<size_t>(got));
      }
    }
  }
  return true;
}

std::string EndOf(const std::string& text) {
  return text.size() <= kShownErrorBytes ? text : "..." + text.substr(text.size() - kShownErrorBytes);
}

// Values of the wrong type read as absent: a worker of another version should still start where it can.
std::string Text(const Json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}
int64_t Integer(const Json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}
bool Boolean(const Json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}
const Json& Array(const Json& object, const char* key) {
  static const Json& empty = *new Json(Json::array());
  auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : empty;
}

}  // namespace

absl::StatusOr<WorkerDescription> ParseWorkerDescription(std::string_view text) {
  Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InternalError("the worker's description is no JSON object; server and worker may be of different versions");
  }
  WorkerDescription description;
  description.libtorch_version = Text(json, "libtorch_version");
  for (const Json& entry : Array(json, "architectures")) {
    if (!entry.is_object()) continue;
    v1::Architecture& architecture = *description.architectures.add_architectures();
    architecture.set_name(Text(entry, "name"));
    architecture.set_description(Text(entry, "description"));
    const std::string modality = Text(entry, "modality");
    architecture.set_modality(modality.empty() ? "text" : modality);  // workers of before images do not say it
    for (const Json& task : Array(entry, "tasks")) {
      if (task.is_string()) architecture.add_tasks(task.get<std::string>());
    }
  }
  for (const Json& entry : Array(json, "devices")) {
    if (!entry.is_object()) continue;
    v1::Device& device = *description.devices.add_devices();
    device.set_name(Text(entry, "name"));
    device.set_description(Text(entry, "description"));
    device.set_memory_bytes(Integer(entry, "memory_bytes"));
    device.set_usable(Boolean(entry, "usable"));
    device.set_unusable_reason(Text(entry, "unusable_reason"));
    device.set_cores(static_cast<int32_t>(Integer(entry, "cores")));
  }
  if (description.architectures.architectures().empty()) {
    return absl::InternalError("the worker names no architecture that it can train; server and worker may be of different versions");
  }
  if (description.devices.devices().empty()) {
    return absl::InternalError("the worker names no device; server and worker may be of different versions");
  }
  return description;
}

absl::StatusOr<WorkerDescription> DescribeWorker(const std::string& worker_path, absl::Duration timeout) {
  absl::Time deadline = absl::Now() + timeout;
  ATTUNE_ASSIGN_OR_RETURN(auto child, Subprocess::Start({.argv = {worker_path, "--describe"}, .capture_stdout = true, .capture_stderr = true}));
  std::string out, err;
  if (!ReadOutputs(*child, deadline, out, err)) {
    child->Signal(SIGKILL);
    child->Wait();
    return absl::DeadlineExceededError(
        StrCat(worker_path, " --describe did not answer within ", absl::FormatDuration(timeout), "; run it by hand to see why"));
  }
  std::optional<ExitStatus> status = child->WaitFor(std::max(deadline - absl::Now(), absl::Milliseconds(1)));
  if (!status.has_value()) {
    child->Signal(SIGKILL);
    status = child->Wait();
  }
  if (status->signaled || status->code != 0) {
    return absl::FailedPreconditionError(StrCat(worker_path, " --describe ", status->ToString(),
                                                "; workers cannot run here. Its last words: ", EndOf(err)));
  }
  return ParseWorkerDescription(out);
}

}  // namespace attune::workers
