#include "server/workers/sandbox/capabilities.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "server/workers/sandbox/all_threads.h"

namespace attune::workers {
namespace {

constexpr __u32 kKept = (1u << CAP_DAC_OVERRIDE) | (1u << CAP_DAC_READ_SEARCH);  // both are among the first 32

}  // namespace

int DropCapabilitiesOfThisThread(int became_another_user) {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, sets) != 0) return errno;
  const __u32 effective = became_another_user != 0 ? sets[0].permitted : sets[0].effective;
  sets[0] = {.effective = effective & kKept, .permitted = sets[0].permitted & kKept, .inheritable = 0};
  sets[1] = {};
  return syscall(SYS_capset, &header, sets) == 0 ? 0 : errno;
}

absl::Status DropCapabilities(bool became_another_user) { return OnAllThreads(DropCapabilitiesOfThisThread, became_another_user ? 1 : 0); }

}  // namespace attune::workers
