#include "server/scheduler/checkpoint_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cctype>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "nlohmann/json.hpp"
#include "server/base/log.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::scheduler {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxManifestBytes = 16 << 20;
constexpr char kManifest[] = "manifest.json";
constexpr char kTrainingState[] = "training_state.json";
constexpr char kRubbish[] = ".tmp";

absl::Status Damaged(const std::string& directory, std::string_view what) {
  return absl::DataLossError(StrCat("checkpoint ", directory, " is damaged: ", what));
}

// A plain file name or a path below the directory.
bool StaysInside(const std::string& path) {
  return !path.empty() && path[0] != '/' && path.find('\0') == std::string::npos && (StrCat("/", path, "/")).find("/../") == std::string::npos;
}

// The files are the worker's, which runs what tenants send: a link among them could lead anywhere that this server may read.
bool IsPlainFile(const std::string& directory, const std::string& path) {
  std::error_code error;
  const std::filesystem::path root = std::filesystem::canonical(directory, error);
  if (error) return false;
  std::filesystem::path part = root;
  for (const std::filesystem::path& name : std::filesystem::path(path)) {
    part /= name;
    if (std::filesystem::is_symlink(std::filesystem::symlink_status(part, error))) return false;
  }
  return std::filesystem::is_regular_file(std::filesystem::symlink_status(part, error));
}

bool IsSha256(const std::string& text) {
  if (text.size() != 64) return false;
  for (char c : text) {
    if (!std::isdigit(static_cast<unsigned char>(c)) && (c < 'a' || c > 'f')) return false;
  }
  return true;
}

absl::StatusOr<v1::CheckpointFile> ReadEntry(const std::string& directory, const Json& entry) {
  if (!entry.is_object() || !entry.contains("path") || !entry["path"].is_string() || !entry.contains("size_bytes") || !entry["size_bytes"].is_number_integer()) {
    return Damaged(directory, "an entry of manifest.json has no path or size_bytes");
  }
  v1::CheckpointFile file;
  file.set_path(entry["path"].get<std::string>());
  if (!StaysInside(file.path())) return absl::InvalidArgumentError(StrCat("checkpoint ", directory, " lists a file outside of itself: ", file.path()));
  file.set_size_bytes(entry["size_bytes"].get<int64_t>());
  file.set_purpose(entry.value("purpose", Json("weights")) == "resume" ? v1::CheckpointFile::PURPOSE_RESUME : v1::CheckpointFile::PURPOSE_WEIGHTS);
  std::string path = StrCat(directory, "/", file.path());
  absl::StatusOr<int64_t> size = FileSize(path);
  if (!size.ok()) return Damaged(directory, StrCat(file.path(), " is missing"));
  if (!IsPlainFile(directory, file.path())) return absl::InvalidArgumentError(StrCat("checkpoint ", directory, " lists what is not a plain file of its own: ", file.path()));
  if (*size != file.size_bytes()) return Damaged(directory, StrCat(file.path(), " has ", *size, " bytes and should have ", file.size_bytes()));
  if (entry.contains("sha256") && entry["sha256"].is_string() && IsSha256(entry["sha256"].get<std::string>())) {
    file.set_sha256(entry["sha256"].get<std::string>());
  } else {
    ATTUNE_ASSIGN_OR_RETURN(*file.mutable_sha256(), Sha256OfFile(path));
  }
  return file;
}

}  // namespace

std::string CheckpointDirectoryName(int64_t step) { return StrCat("step-", step); }

absl::StatusOr<v1::Checkpoint> ReadCheckpoint(const std::string& directory) {
  absl::StatusOr<std::string> text = ReadFile(StrCat(directory, "/", kManifest), kMaxManifestBytes);
  if (!text.ok()) return Damaged(directory, StrCat("manifest.json cannot be read: ", std::string(text.status().message())));
  Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("files") || !json["files"].is_array() || !json.contains("step") || !json["step"].is_number_integer()) {
    return Damaged(directory, "manifest.json has no step or files");
  }
  v1::Checkpoint checkpoint;
  checkpoint.set_step(json["step"].get<int64_t>());
  for (const Json& entry : json["files"]) {
    ATTUNE_ASSIGN_OR_RETURN(v1::CheckpointFile file, ReadEntry(directory, entry));
    checkpoint.set_size_bytes(checkpoint.size_bytes() + file.size_bytes());
    checkpoint.set_resumable(checkpoint.resumable() || file.purpose() == v1::CheckpointFile::PURPOSE_RESUME);
    *checkpoint.add_files() = std::move(file);
  }
  if (checkpoint.files().empty()) return Damaged(directory, "manifest.json lists no files");
  return checkpoint;
}

absl::Status VerifyCheckpoint(const std::string& directory, const v1::Checkpoint& checkpoint) {
  for (const v1::CheckpointFile& file : checkpoint.files()) {
    absl::StatusOr<std::string> digest = Sha256OfFile(StrCat(directory, "/", file.path()));
    if (!digest.ok()) return absl::DataLossError(StrCat(file.path(), " cannot be read: ", std::string(digest.status().message())));
    if (*digest != file.sha256()) return absl::DataLossError(StrCat(file.path(), " is not what was written: its SHA-256 is ", digest->substr(0, 12), "..., not ", file.sha256().substr(0, 12), "..."));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> CheckpointPhase(const std::string& directory) {
  const absl::StatusOr<std::string> text = ReadFile(StrCat(directory, "/", kTrainingState), kMaxManifestBytes);
  if (!text.ok()) return Damaged(directory, StrCat("training_state.json cannot be read: ", std::string(text.status().message())));
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("phase") || !json["phase"].is_number_unsigned()) return Damaged(directory, "training_state.json names no phase");
  return json["phase"].get<int>();
}

absl::Status RemoveCheckpointDirectory(Files& files, const std::string& directory) {
  std::string rubbish = StrCat(directory, kRubbish);
  // An earlier removal may have been cut off.
  ATTUNE_RETURN_IF_ERROR(files.RemoveRecursively(rubbish));
  absl::Status renamed = files.Rename(directory, rubbish);
  if (absl::IsNotFound(renamed)) return absl::OkStatus();
  ATTUNE_RETURN_IF_ERROR(renamed);
  // From here on there is no checkpoint any more, whatever becomes of the rest.
  if (absl::Status rest = files.RemoveRecursively(rubbish); !rest.ok()) {
    Log(LogLevel::kWarning, "what is left of a removed checkpoint could not be removed", {{"path", rubbish}, {"error", rest.ToString()}});
  }
  return absl::OkStatus();
}

void RemoveRubbish(Files& files, const std::string& output_directory) {
  const std::string checkpoints = StrCat(output_directory, "/checkpoints");
  absl::StatusOr<std::vector<std::string>> names = ListDirectory(checkpoints);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (!absl::EndsWith(name, kRubbish)) continue;
    absl::Status status = files.RemoveRecursively(StrCat(checkpoints, "/", name));
    if (!status.ok()) Log(LogLevel::kWarning, "what is left of a removed checkpoint could not be removed", {{"path", name}, {"error", status.ToString()}});
  }
}

absl::Status PrepareOutputDirectory(Files& files, const std::string& output_directory, const std::set<std::string>& registered) {
  std::string checkpoints = StrCat(output_directory, "/checkpoints");
  ATTUNE_RETURN_IF_ERROR(files.CreateDirectories(checkpoints));
  ATTUNE_ASSIGN_OR_RETURN(std::vector<std::string> names, ListDirectory(checkpoints));
  for (const std::string& name : names) {
    if (registered.count(name) != 0) continue;
    Log(LogLevel::kInfo, "an unfinished or unreported checkpoint is removed", {{"path", StrCat(checkpoints, "/", name)}});
    ATTUNE_RETURN_IF_ERROR(files.RemoveRecursively(StrCat(checkpoints, "/", name)));
  }
  return absl::OkStatus();
}

void ReadAhead(const std::string& directory) {
  const absl::StatusOr<std::vector<std::string>> names = ListDirectory(directory);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const int file = open(StrCat(directory, "/", name).c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    posix_fadvise(file, 0, 0, POSIX_FADV_WILLNEED);
    close(file);
  }
}

}  // namespace attune::scheduler
