#include "server/workers/sandbox/capability.h"

#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "server/base/str_cat.h"

namespace attune::workers {
namespace {

constexpr int kFullLandlock = 3;

// A sanitizer's own threads and its search for leaks do what the sandbox forbids.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(ATTUNE_THREAD_SANITIZER)
constexpr bool kSanitizer = true;
#elif defined(__has_feature)
constexpr bool kSanitizer = __has_feature(address_sanitizer);
#else
constexpr bool kSanitizer = false;
#endif

bool HasFilter() {
  const uint32_t refuse = SECCOMP_RET_ERRNO;
  return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &refuse) == 0;
}

void Lacks(SandboxCapability& capability, const std::string& what) {
  if (!capability.missing.empty()) capability.missing += "; ";
  capability.missing += what;
}

}  // namespace

SandboxLevel SandboxCapability::level() const {
  if (landlock_version >= kFullLandlock && system_call_filter) return SandboxLevel::kFull;
  return landlock_version > 0 || system_call_filter ? SandboxLevel::kPartial : SandboxLevel::kNone;
}

bool BuiltWithSanitizer() { return kSanitizer; }

SandboxCapability AskKernel() {
  SandboxCapability capability;
  if (kSanitizer) {
    capability.missing = "this is a build with a sanitizer, which the sandbox would hinder";
    return capability;
  }
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version > 0) {
    capability.landlock_version = static_cast<int>(version);
    if (version < kFullLandlock) Lacks(capability, StrCat("Landlock here is version ", version, "; ", kFullLandlock, " (Linux 6.2) also keeps foreign files from being cut short"));
  } else {
    Lacks(capability, StrCat("no Landlock (", std::strerror(errno), "): the kernel must be Linux 5.13 or later with landlock among its security modules, and the container must not forbid it"));
  }
  capability.system_call_filter = HasFilter();
  if (!capability.system_call_filter) Lacks(capability, StrCat("no seccomp filters (", std::strerror(errno), ")"));
  return capability;
}

const char* SandboxLevelName(SandboxLevel level) {
  switch (level) {
    case SandboxLevel::kNone:
      return "none";
    case SandboxLevel::kPartial:
      return "partial";
    case SandboxLevel::kFull:
      break;
  }
  return "full";
}

}  // namespace attune::workers
