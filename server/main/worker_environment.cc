#include "server/main/worker_environment.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "server/base/errno_status.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/workers/sandbox/capability.h"

namespace attune {
namespace {

v1::WorkerSandbox::Level LevelOf(workers::SandboxLevel level) {
  switch (level) {
    case workers::SandboxLevel::kNone:
      return v1::WorkerSandbox::LEVEL_NONE;
    case workers::SandboxLevel::kPartial:
      return v1::WorkerSandbox::LEVEL_PARTIAL;
    case workers::SandboxLevel::kFull:
      break;
  }
  return v1::WorkerSandbox::LEVEL_FULL;
}

// For directories of root in which workers, as somebody else, make files: other processes of that user stay out. Workers pass by what they keep of root's powers.
absl::Status CloseToOthers(const std::string& directory) { return chmod(directory.c_str(), 0700) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "close to others", directory); }

}  // namespace

std::vector<std::pair<std::string, std::string>> WorkerEnvironment(const WorkerOptions& options, const workers::WorkerUser& user, const std::string& data_directory) {
  std::vector<std::pair<std::string, std::string>> environment = {{"ATTUNE_WORKER_SANDBOX", options.sandbox}, {"ATTUNE_WORKER_DATA", data_directory}};
  if (user.uid != 0) environment.emplace_back("ATTUNE_WORKER_USER", user.ToText());
  if (options.memory_bytes > 0) environment.emplace_back("ATTUNE_WORKER_MEMORY", StrCat(options.memory_bytes));
  // OpenMP's threads spin for some 15 ms between parallel regions unless told otherwise: a third of a step's processor time on two hyper-threads, and with two workers
  // on the same processors most of it. It is read when the library loads, so it must come with the process. What the operator has set stays.
  if (std::getenv("GOMP_SPINCOUNT") == nullptr && std::getenv("OMP_WAIT_POLICY") == nullptr) environment.emplace_back("GOMP_SPINCOUNT", "2000");
  return environment;
}

absl::StatusOr<workers::WorkerUser> ChooseWorkerUser(const WorkerOptions& options, const std::string& data_directory) {
  if (options.sandbox == "off" || workers::BuiltWithSanitizer() || geteuid() != 0) return workers::WorkerUser{};
  absl::StatusOr<workers::WorkerUser> user = workers::FindWorkerUser(options.user);
  if (!user.ok()) return absl::Status(user.status().code(), StrCat("worker_user: ", user.status().message()));
  absl::Status status = user->uid == 0 ? absl::FailedPreconditionError("this is root") : workers::MayBecome(*user);
  for (const char* written : {"jobs", "feature-cache"}) {
    const std::string directory = StrCat(data_directory, "/", written);
    if (status.ok()) status = CloseToOthers(directory);
    if (status.ok()) status = workers::MayWriteAs(*user, directory);  // the way it is from now on
  }
  if (status.ok()) return user;
  if (options.sandbox == "required") {
    return absl::FailedPreconditionError(StrCat("worker_user: worker_sandbox is required, and workers cannot run as ", options.user, ": ", status.message(), "; start the server as a user of its own, or name another"));
  }
  Log(LogLevel::kWarning, "workers run as root; better start the server as a user of its own", {{"worker_user", options.user}, {"why", std::string(status.message())}});
  return workers::WorkerUser{};
}

absl::StatusOr<v1::WorkerSandbox> DescribeSandbox(const WorkerOptions& options, const workers::WorkerUser& user) {
  const std::string& mode = options.sandbox;
  v1::WorkerSandbox sandbox;
  if (mode == "off") {
    sandbox.set_level(v1::WorkerSandbox::LEVEL_OFF);
    Log(LogLevel::kWarning, "workers have no sandbox: a tenant's data that takes over a worker's code can read other tenants' files", {{"worker_sandbox", mode}});
    return sandbox;
  }
  const workers::SandboxCapability capability = workers::AskKernel();
  sandbox.set_level(LevelOf(capability.level()));
  sandbox.set_landlock_version(capability.landlock_version);
  sandbox.set_system_call_filter(capability.system_call_filter);
  sandbox.set_missing(capability.missing);
  sandbox.set_user(user.name);
  const bool full = capability.level() == workers::SandboxLevel::kFull;
  if (!full && mode == "required") {
    return absl::FailedPreconditionError(StrCat("worker_sandbox: required, and this kernel lacks a part of it: ", capability.missing, "; start the server elsewhere, or with --worker-sandbox auto"));
  }
  Log(full ? LogLevel::kInfo : LogLevel::kWarning, "workers' sandbox",
      {{"level", workers::SandboxLevelName(capability.level())}, {"landlock_version", capability.landlock_version}, {"system_call_filter", capability.system_call_filter}, {"missing", capability.missing}, {"user", user.name}});
  return sandbox;
}

}  // namespace attune
