#include "server/scheduler/feature_cache_files.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::scheduler {
namespace {

namespace fs = std::filesystem;

constexpr char kTable[] = ".features";
constexpr char kUnfinished[] = ".tmp";

struct Table {
  fs::file_time_type used;
  std::string path;
  int64_t bytes = 0;
};

// A file that is being written is called {name}.{pid}.tmp.
bool IsAbandoned(const std::string& name) {
  const std::string stem(absl::StripSuffix(name, kUnfinished));
  const long pid = std::strtol(stem.c_str() + stem.rfind('.') + 1, nullptr, 10);
  return pid <= 0 || (kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH);
}

// Appends the tables of one project's directory, and removes its rubbish.
absl::Status LookInto(Files& files, const fs::path& folder, std::vector<Table>& tables) {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(folder.string()));
  for (const std::string& name : names) {
    const std::string path = (folder / name).string();
    if (absl::EndsWith(name, kUnfinished)) {
      if (IsAbandoned(name)) ATTUNE_RETURN_IF_ERROR(files.Remove(path));
      continue;
    }
    std::error_code gone;  // a worker may have evicted it meanwhile
    const auto used = fs::last_write_time(path, gone);
    const absl::StatusOr<int64_t> bytes = FileSize(path);
    if (!gone && bytes.ok() && absl::EndsWith(name, kTable)) tables.push_back({used, path, *bytes});
  }
  return absl::OkStatus();
}

absl::Status Evict(Files& files, std::vector<Table> tables, int64_t max_bytes) {
  int64_t total = 0;
  for (const Table& table : tables) total += table.bytes;
  std::sort(tables.begin(), tables.end(), [](const Table& a, const Table& b) { return a.used < b.used; });
  for (const Table& table : tables) {
    if (total <= max_bytes) break;
    ATTUNE_RETURN_IF_ERROR(files.Remove(table.path));
    total -= table.bytes;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> PrepareFeatureCache(Files& files, const std::string& root, const std::string& project, int64_t max_bytes) {
  std::string directory = StrCat(root, "/", project);
  ATTUNE_RETURN_IF_ERROR(files.CreateDirectories(directory));
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(root));
  std::vector<Table> tables;
  for (const std::string& name : names) {
    const fs::path path = fs::path(root) / name;
    std::error_code error;
    if (fs::is_directory(fs::symlink_status(path, error))) {
      ATTUNE_RETURN_IF_ERROR(LookInto(files, path, tables));
    } else {
      ATTUNE_RETURN_IF_ERROR(files.Remove(path.string()));
    }
  }
  ATTUNE_RETURN_IF_ERROR(Evict(files, std::move(tables), max_bytes));
  return directory;
}

}  // namespace attune::scheduler
