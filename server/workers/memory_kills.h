// How many processes the kernel has killed because memory ran out, of the machine or of a control group, since it started: tells such a death from other SIGKILLs.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

namespace attune::workers {

// 0 where the kernel does not say.
inline int64_t MemoryKills() {
  std::ifstream file("/proc/vmstat");
  std::string name;
  for (int64_t value = 0; file >> name >> value;) {
    if (name == "oom_kill") return value;
  }
  return 0;
}

}  // namespace attune::workers
