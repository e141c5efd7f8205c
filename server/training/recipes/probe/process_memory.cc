#include "server/training/recipes/probe/process_memory.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

namespace attune::training {
namespace {

constexpr int64_t kUnlimited = int64_t{1} << 60;  // what control groups write for "no limit" is larger

// "Name:   123 kB" of a file of such lines, in bytes.
int64_t FieldBytes(const std::string& path, const std::string& field) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(field + ":", 0) == 0) return std::strtoll(line.c_str() + field.size() + 1, nullptr, 10) * 1024;
  }
  return 0;
}

std::optional<int64_t> NumberIn(const std::string& path) {
  std::ifstream file(path);
  int64_t value = 0;
  if (!(file >> value) || value >= kUnlimited) return std::nullopt;
  return value;
}

// "name 123" of memory.stat.
int64_t StatBytes(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string key;
  for (int64_t value = 0; file >> key >> value;) {
    if (key == name) return value;
  }
  return 0;
}

// What a control group leaves; its page cache that nobody has used for long gives way.
std::optional<int64_t> LeftInGroup(const std::string& directory, const char* limit_file, const char* usage_file, const char* cache) {
  const std::optional<int64_t> limit = NumberIn(directory + limit_file);
  const std::optional<int64_t> usage = NumberIn(directory + usage_file);
  if (!limit.has_value() || !usage.has_value()) return std::nullopt;
  return std::max<int64_t>(0, *limit - *usage + StatBytes(directory + "/memory.stat", cache));
}

// Of all groups from the process's own up; a container sees its own as the root.
std::optional<int64_t> LeftInGroups(const std::string& root) {
  std::optional<int64_t> left;
  const auto take = [&](const std::optional<int64_t>& other) {
    if (other.has_value()) left = std::min(left.value_or(*other), *other);
  };
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const bool second = line.rfind("0::", 0) == 0;
    const size_t name = line.find(":memory:");
    if (!second && name == std::string::npos) continue;
    std::string path = second ? line.substr(3) : line.substr(name + 8);
    while (true) {
      if (path == "/") path.clear();
      if (second) {
        take(LeftInGroup(root + "/sys/fs/cgroup" + path, "/memory.max", "/memory.current", "inactive_file"));
      } else {
        take(LeftInGroup(root + "/sys/fs/cgroup/memory" + path, "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file"));
      }
      if (path.empty()) break;
      path.resize(path.find_last_of('/'));
    }
  }
  return left;
}

}  // namespace

int64_t ProcessMemory::Status(const std::string& field) const { return FieldBytes(root_ + "/proc/self/status", field); }

int64_t ProcessMemory::InUseBytes() { return Status("VmRSS"); }

int64_t ProcessMemory::PeakBytes() { return Status("VmHWM"); }

void ProcessMemory::ResetPeak() { std::ofstream(root_ + "/proc/self/clear_refs") << "5"; }

int64_t ProcessMemory::LimitBytes() {
  int64_t left = FieldBytes(root_ + "/proc/meminfo", "MemAvailable");
  if (left == 0) return 0;
  if (const std::optional<int64_t> group = LeftInGroups(root_); group.has_value()) left = std::min(left, *group);
  if (const char* own = std::getenv(kWorkerMemoryVariable); own != nullptr) {
    const int64_t limit = std::strtoll(own, nullptr, 10);
    if (limit > 0) left = std::min(left, std::max<int64_t>(0, limit - Status("VmData")));
  }
  return InUseBytes() + left;
}

}  // namespace attune::training
