#include "server/workers/sandbox/sandbox.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "server/base/errno_status.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/workers/sandbox/capabilities.h"
#include "server/workers/sandbox/library_directories.h"
#include "server/workers/sandbox/system_call_filter.h"

namespace attune::workers {
namespace {

constexpr rlim_t kMostOpenFiles = 4096;

// Libraries and what they read; facts about the machine and the process. A process's secrets in /proc are its own: Landlock keeps others from them.
constexpr const char* kSystemFiles[] = {"/lib",           "/lib64",         "/usr/lib",      "/usr/lib64",       "/usr/local/lib",   "/usr/local/cuda", "/usr/share/zoneinfo", "/etc/ld.so.cache",
                                        "/etc/localtime", "/etc/hosts",     "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/gai.conf", "/etc/host.conf",  "/proc",               "/sys"};
constexpr const char* kSystemDevices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/proc/self/clear_refs"};

bool Contains(const std::string& directory, const std::string& path) {
  const std::string prefix = directory.empty() || directory.back() == '/' ? directory : directory + "/";
  return path == directory || path.compare(0, prefix.size(), prefix) == 0;
}

// What the driver made for this machine's GPUs: nvidia0, nvidiactl, nvidia-uvm, nvidia-caps/.
std::vector<std::string> GpuDevices() {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/dev", error)) {
    if (entry.path().filename().string().rfind("nvidia", 0) == 0) found.push_back(entry.path().string());
  }
  return found;
}

FileGrants SystemGrants(const SandboxOptions& options) {
  FileGrants grants;
  grants.read.assign(std::begin(kSystemFiles), std::end(kSystemFiles));
  for (std::string& folder : LibraryDirectories()) grants.read.push_back(std::move(folder));
  // A folder that holds the server's files would open them all.
  const auto holds_data = [&](const std::string& folder) { return Contains(folder, options.data_directory); };
  grants.read.erase(std::remove_if(grants.read.begin(), grants.read.end(), holds_data), grants.read.end());
  grants.devices.assign(std::begin(kSystemDevices), std::end(kSystemDevices));
  for (std::string& device : GpuDevices()) grants.devices.push_back(std::move(device));
  grants.remove_from = options.remove_from;
  return grants;
}

FileGrants Sum(FileGrants a, const FileGrants& b) {
  a.read.insert(a.read.end(), b.read.begin(), b.read.end());
  a.write.insert(a.write.end(), b.write.begin(), b.write.end());
  a.devices.insert(a.devices.end(), b.devices.begin(), b.devices.end());
  a.remove_from.insert(a.remove_from.end(), b.remove_from.begin(), b.remove_from.end());
  return a;
}

absl::Status LimitResources() {
  const rlimit no_cores = {0, 0};
  if (setrlimit(RLIMIT_CORE, &no_cores) != 0) return ErrnoStatus(errno, "limit", "cores");
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return ErrnoStatus(errno, "read the limit of", "open files");
  files.rlim_max = std::min(files.rlim_max, kMostOpenFiles);
  files.rlim_cur = std::min(files.rlim_cur, files.rlim_max);
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) return ErrnoStatus(errno, "limit", "open files");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Sandbox> Sandbox::Enter(const SandboxOptions& options) {
  Sandbox sandbox;
  if (options.mode == "off") return sandbox;
  if (options.mode != "auto" && options.mode != "required") return absl::InvalidArgumentError(StrCat("the sandbox's mode must be off, auto or required; got \"", options.mode, "\""));
  sandbox.capability_ = AskKernel();
  if (options.mode == "required" && sandbox.capability_.level() != SandboxLevel::kFull) return absl::FailedPreconditionError(sandbox.capability_.missing);
  if (BuiltWithSanitizer()) return sandbox;
  ATTUNE_RETURN_IF_ERROR(LimitResources());
  ATTUNE_RETURN_IF_ERROR(options.user.has_value() ? Become(*options.user) : DropCapabilities(/*became_another_user=*/false));
  if (sandbox.capability_.landlock_version > 0) {
    sandbox.system_ = SystemGrants(options);
    FileGrants data;
    for (const char* name : {"models", "datasets"}) data.read.push_back(StrCat(options.data_directory, "/", name));
    for (const char* name : {"jobs", "feature-cache"}) data.write.push_back(StrCat(options.data_directory, "/", name));
    ATTUNE_RETURN_IF_ERROR(RestrictFiles(Sum(sandbox.system_, data), {.landlock_version = sandbox.capability_.landlock_version, .tcp = options.internet}));
  }
  if (sandbox.capability_.system_call_filter) ATTUNE_RETURN_IF_ERROR(ForbidSystemCalls({.internet = options.internet}));
  return sandbox;
}

absl::Status Sandbox::CloseConnections() { return capability_.system_call_filter ? ForbidConnections() : absl::OkStatus(); }

absl::Status Sandbox::Bind(const FileGrants& grants) {
  if (bound_.has_value()) return *bound_ == grants ? absl::OkStatus() : absl::FailedPreconditionError("this worker is bound to the files of another request; it takes a fresh one");
  if (capability_.landlock_version > 0) {
    ATTUNE_RETURN_IF_ERROR(RestrictFiles(Sum(system_, grants), {.landlock_version = capability_.landlock_version}));
    bound_ = grants;
  }
  return absl::OkStatus();
}

}  // namespace attune::workers
