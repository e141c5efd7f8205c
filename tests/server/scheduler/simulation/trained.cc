#include "tests/server/scheduler/simulation/trained.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/numbers.h"
#include "server/base/errno_status.h"
#include "server/base/files.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/scheduler/checkpoint_files.h"
#include "tests/server/scheduler/simulation/world.h"

namespace attune::simulation {
namespace {

constexpr char kState[] = "/state";

absl::Status Write(const std::string& path, const std::string& content) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoStatus(errno, "create", path);
  const ssize_t wrote = write(fd, content.data(), content.size());
  close(fd);
  return wrote == static_cast<ssize_t>(content.size()) ? absl::OkStatus() : ErrnoStatus(errno, "write", path);
}

}  // namespace

uint64_t TrainedAtStart(const std::string& job) {
  uint64_t value = 14695981039346656037u;
  for (const char c : job) value = Random::Mix(value ^ static_cast<unsigned char>(c));
  return value;
}

int64_t StepsOf(const std::string& job) { return static_cast<int64_t>(3 + Random::Mix(TrainedAtStart(job)) % 8); }

uint64_t TrainedNext(uint64_t value) { return Random::Mix(value + 1); }

uint64_t TrainedAfter(const std::string& job, int64_t steps) {
  uint64_t value = TrainedAtStart(job);
  for (; steps > 0; --steps) value = TrainedNext(value);
  return value;
}

absl::Status WriteTrained(const std::string& directory, const Trained& trained) {
  const std::string temporary = directory + ".part", content = std::to_string(trained.value);
  if (mkdir(temporary.c_str(), 0755) != 0 && errno != EEXIST) return ErrnoStatus(errno, "create directory", temporary);
  ATTUNE_RETURN_IF_ERROR(Write(temporary + kState, content));
  ATTUNE_RETURN_IF_ERROR(Write(temporary + "/manifest.json",
                               StrCat(R"({"step": )", trained.step, R"(, "files": [{"path": "state", "size_bytes": )", content.size(), R"(, "sha256": ")", Sha256Hex(content),
                                      R"(", "purpose": "resume"}]})")));
  return rename(temporary.c_str(), directory.c_str()) == 0 ? absl::OkStatus() : ErrnoStatus(errno, "rename", temporary);
}

absl::StatusOr<Trained> ReadTrained(const std::string& directory) {
  ATTUNE_ASSIGN_OR_RETURN(const v1::Checkpoint checkpoint, scheduler::ReadCheckpoint(directory));
  ATTUNE_RETURN_IF_ERROR(scheduler::VerifyCheckpoint(directory, checkpoint));
  ATTUNE_ASSIGN_OR_RETURN(const std::string content, ReadFile(directory + kState));
  Trained trained{.step = checkpoint.step()};
  if (!absl::SimpleAtoi(content, &trained.value)) return absl::DataLossError(directory + " has no number");
  return trained;
}

absl::Status DamageTrained(const std::string& directory) { return Write(directory + kState, "damaged"); }

}  // namespace attune::simulation
