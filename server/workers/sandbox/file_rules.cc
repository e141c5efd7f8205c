#include "server/workers/sandbox/file_rules.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "server/base/errno_status.h"
#include "server/base/status_macros.h"
#include "server/workers/sandbox/all_threads.h"

namespace attune::workers {
namespace {

// What headers of Linux 6.1 do not know yet; see the kernel's Documentation/userspace-api/landlock.rst.
constexpr uint64_t kTruncate = uint64_t{1} << 14;         // from version 3
constexpr uint64_t kControlDevice = uint64_t{1} << 15;    // from version 5
constexpr uint64_t kBindTcp = 1, kConnectTcp = 2;         // from version 4
constexpr uint64_t kScopeAbstractSockets = 1, kScopeSignals = 2;  // from version 6
constexpr uint32_t kAskErrata = 2;
constexpr long kSignalsAmongThreadsErratum = 2;  // without it threads that are bound one by one could not signal each other

struct RulesetAttributes {
  uint64_t files, network, scopes;
};

constexpr uint64_t kReadFile = LANDLOCK_ACCESS_FS_READ_FILE;
constexpr uint64_t kRead = kReadFile | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kChangeFile = kReadFile | LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate;
constexpr uint64_t kWrite = kRead | kChangeFile | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REFER;
constexpr uint64_t kDevice = kRead | LANDLOCK_ACCESS_FS_WRITE_FILE | kControlDevice;
constexpr uint64_t kOfFiles = kChangeFile | LANDLOCK_ACCESS_FS_EXECUTE | kControlDevice;  // the rights that make sense for a file; all do for a directory

uint64_t KnownAccess(int version) {
  uint64_t known = (uint64_t{LANDLOCK_ACCESS_FS_MAKE_SYM} << 1) - 1;  // the rights of version 1 are the lowest bits
  if (version >= 2) known |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) known |= kTruncate;
  if (version >= 5) known |= kControlDevice;
  return known;
}

RulesetAttributes Attributes(const FileRuleOptions& options) {
  const int version = options.landlock_version;
  RulesetAttributes attributes = {.files = KnownAccess(version)};
  if (version >= 4 && !options.tcp) attributes.network = kBindTcp | kConnectTcp;
  if (version >= 6) {
    attributes.scopes = kScopeAbstractSockets;
    const long errata = syscall(SYS_landlock_create_ruleset, nullptr, 0, kAskErrata);
    if (errata > 0 && (errata & kSignalsAmongThreadsErratum) != 0) attributes.scopes |= kScopeSignals;
  }
  return attributes;
}

// Closes what it holds.
struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0) close(number);
  }
};

absl::Status Allow(int ruleset, const std::string& path, uint64_t access) {
  const Descriptor file = {open(path.c_str(), O_PATH | O_CLOEXEC)};
  if (file.number < 0) return errno == ENOENT || errno == ENOTDIR ? absl::OkStatus() : ErrnoStatus(errno, "open", path);
  struct stat info;
  if (fstat(file.number, &info) != 0) return ErrnoStatus(errno, "examine", path);
  if (!S_ISDIR(info.st_mode)) access &= kOfFiles;
  const landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = file.number};
  if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) return ErrnoStatus(errno, "make a Landlock rule for", path);
  return absl::OkStatus();
}

absl::Status AllowAll(int ruleset, const std::vector<std::string>& paths, uint64_t access) {
  for (const std::string& path : paths) {
    if (!path.empty()) ATTUNE_RETURN_IF_ERROR(Allow(ruleset, path, access));
  }
  return absl::OkStatus();
}

int RestrictThisThread(int ruleset) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return syscall(SYS_landlock_restrict_self, ruleset, 0) == 0 ? 0 : errno;
}

}  // namespace

absl::Status RestrictFiles(const FileGrants& grants, const FileRuleOptions& options) {
  const RulesetAttributes attributes = Attributes(options);
  const Descriptor ruleset = {static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0))};
  if (ruleset.number < 0) return ErrnoStatus(errno, "make", "a Landlock ruleset");
  ATTUNE_RETURN_IF_ERROR(AllowAll(ruleset.number, grants.read, kRead & attributes.files));
  ATTUNE_RETURN_IF_ERROR(AllowAll(ruleset.number, grants.write, kWrite & attributes.files));
  ATTUNE_RETURN_IF_ERROR(AllowAll(ruleset.number, grants.devices, kDevice & attributes.files));
  ATTUNE_RETURN_IF_ERROR(AllowAll(ruleset.number, grants.remove_from, LANDLOCK_ACCESS_FS_REMOVE_FILE));
  return OnAllThreads(RestrictThisThread, ruleset.number);
}

}  // namespace attune::workers
