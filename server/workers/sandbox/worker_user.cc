#include "server/workers/sandbox/worker_user.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "server/base/errno_status.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/workers/sandbox/all_threads.h"
#include "server/workers/sandbox/capabilities.h"

namespace attune::workers {
namespace {

constexpr int kNobody = 65534;

// Whether a user namespace knows the id: each line of the map is the first id inside, the first outside, and how many.
bool IsMapped(const char* map, int id) {
  std::ifstream file(map);
  int64_t inside = 0, outside = 0, count = 0;
  while (file >> inside >> outside >> count) {
    if (id >= inside && id < inside + count) return true;
  }
  return false;
}

bool HasCapabilities(uint32_t needed) {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  return syscall(SYS_capget, &header, sets) == 0 && (sets[0].effective & needed) == needed;
}

// System calls themselves: glibc's would change all threads, of which only the calling one keeps its capabilities.
int LeaveGroups(int) { return syscall(SYS_setgroups, 0, nullptr) == 0 ? 0 : errno; }
int BecomeGroup(int gid) { return syscall(SYS_setresgid, gid, gid, gid) == 0 ? 0 : errno; }
int BecomeUser(int uid) {
  if (prctl(PR_SET_KEEPCAPS, 1) != 0) return errno;
  return syscall(SYS_setresuid, uid, uid, uid) == 0 ? 0 : errno;
}

}  // namespace

std::string WorkerUser::ToText() const { return StrCat(uid, ":", gid); }

absl::StatusOr<WorkerUser> WorkerUser::FromText(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  WorkerUser user;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &user.uid) || !absl::SimpleAtoi(parts[1], &user.gid) || user.uid < 0 || user.gid < 0) return absl::InvalidArgumentError(StrCat("\"", text, "\" is no UID:GID"));
  return user;
}

absl::StatusOr<WorkerUser> FindWorkerUser(const std::string& name_or_uid) {
  std::vector<char> buffer(1 << 16);
  passwd entry = {};
  passwd* found = nullptr;
  int uid = 0;
  const bool number = absl::SimpleAtoi(name_or_uid, &uid);
  if (number ? uid < 0 : name_or_uid.empty()) return absl::InvalidArgumentError(StrCat("\"", name_or_uid, "\" is no user"));
  const int error = number ? getpwuid_r(static_cast<uid_t>(uid), &entry, buffer.data(), buffer.size(), &found) : getpwnam_r(name_or_uid.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return WorkerUser{.name = found->pw_name, .uid = static_cast<int>(found->pw_uid), .gid = static_cast<int>(found->pw_gid)};
  if (number && error == 0) return WorkerUser{.name = name_or_uid, .uid = uid, .gid = kNobody};  // a group of that number may well be somebody's
  if (name_or_uid == "nobody") return WorkerUser{.name = name_or_uid, .uid = kNobody, .gid = kNobody};
  return absl::NotFoundError(StrCat("this machine has no user \"", name_or_uid, "\"", error == 0 ? "" : StrCat(" (", ErrnoStatus(error, "look up", name_or_uid).ToString(), ")"), "; make one with useradd --system, or name another, by name or number"));
}

absl::Status MayBecome(const WorkerUser& user) {
  if (geteuid() != 0) return absl::FailedPreconditionError("only root can run workers as somebody else");
  constexpr uint32_t kNeeded = (1u << CAP_SETUID) | (1u << CAP_SETGID) | (1u << CAP_KILL) | (1u << CAP_DAC_OVERRIDE);  // also for what the server does with such workers and their files
  if (!HasCapabilities(kNeeded)) return absl::FailedPreconditionError("this root lacks one of CAP_SETUID, CAP_SETGID, CAP_KILL and CAP_DAC_OVERRIDE");
  std::string groups = "allow";
  std::ifstream("/proc/self/setgroups") >> groups;
  if (groups != "allow" || !IsMapped("/proc/self/uid_map", user.uid) || !IsMapped("/proc/self/gid_map", user.gid)) {
    return absl::FailedPreconditionError(StrCat("this container's user namespace has no user ", user.uid, ":", user.gid));
  }
  return absl::OkStatus();
}

absl::Status MayWriteAs(const WorkerUser& user, const std::string& directory) {
  const std::string path = StrCat(directory, "/.written-by-", user.uid);
  const pid_t child = fork();
  if (child < 0) return ErrnoStatus(errno, "fork", "to try another user");
  if (child == 0) {
    // Calls that a child of a process with threads may make.
    int error = LeaveGroups(0);
    if (error == 0) error = BecomeGroup(user.gid);
    if (error == 0) error = BecomeUser(user.uid);
    if (error == 0) error = DropCapabilitiesOfThisThread(1);
    if (error == 0 && open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0) error = errno;
    if (error == 0 && unlink(path.c_str()) != 0) error = errno;
    _exit(error);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return ErrnoStatus(errno, "wait for", "the child that tries another user");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(StrCat("they cannot write to ", directory, ": ", WIFEXITED(status) ? std::strerror(WEXITSTATUS(status)) : "the trial was killed"));
}

absl::Status Become(const WorkerUser& user) {
  ATTUNE_RETURN_IF_ERROR(OnAllThreads(LeaveGroups, 0));
  ATTUNE_RETURN_IF_ERROR(OnAllThreads(BecomeGroup, user.gid));
  ATTUNE_RETURN_IF_ERROR(OnAllThreads(BecomeUser, user.uid));
  ATTUNE_RETURN_IF_ERROR(DropCapabilities(/*became_another_user=*/true));
  // Another user's process is closed to itself, too, unless it says otherwise: /proc/self would be root's, and with it what a plan measures memory by.
  return prctl(PR_SET_DUMPABLE, 1) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "open to itself", "process");
}

}  // namespace attune::workers
