// What this kernel has to keep a worker to its own job. Pure but for asking the kernel; thread-safe.
//
//   const SandboxCapability capability = AskKernel();
//   Log(LogLevel::kInfo, "workers' sandbox", {{"level", SandboxLevelName(capability.level())}, {"missing", capability.missing}});
#pragma once

#include <string>

namespace attune::workers {

enum class SandboxLevel { kNone, kPartial, kFull };

struct SandboxCapability {
  int landlock_version = 0;        // of the kernel's Landlock ABI; 0: none
  bool system_call_filter = false;  // seccomp, with one filter for all threads
  std::string missing;             // what lacks and why, for people; empty when nothing does

  // Full takes Landlock 3 (Linux 6.2) or later, whose rules also keep files from being cut short, and seccomp.
  SandboxLevel level() const;
};

SandboxCapability AskKernel();

// Whether this program was built with a sanitizer, which the sandbox would hinder: then AskKernel finds nothing.
bool BuiltWithSanitizer();

const char* SandboxLevelName(SandboxLevel level);  // "none", "partial", "full"

}  // namespace attune::workers
