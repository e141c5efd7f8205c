#include "server/training/steps/checkpoint_io.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"

namespace attune::training {
namespace {

constexpr char kUnfinished[] = ".tmp";

class DirectoryWriter {
 public:
  DirectoryWriter(Files& files, std::string directory) : files_(files), directory_(std::move(directory)) {}

  absl::Status WriteTensors(const std::string& name, const std::vector<weights::TensorView>& tensors, const char* purpose) {
    const std::string path = absl::StrCat(directory_, "/", name);
    std::string sha256;
    ATTUNE_RETURN_IF_ERROR(weights::WriteSafetensors(files_, path, tensors, {{"format", "pt"}}, &sha256, weights::PageCache::kBypass));
    ATTUNE_ASSIGN_OR_RETURN(const int64_t size, FileSize(path));
    Record(name, size, sha256, purpose);
    return absl::OkStatus();
  }

  absl::Status WriteText(const std::string& name, const std::string& text, const char* purpose) {
    ATTUNE_RETURN_IF_ERROR(Write(name, text));
    Record(name, static_cast<int64_t>(text.size()), Sha256Hex(text), purpose);
    return absl::OkStatus();
  }

  absl::Status WriteManifest(int64_t step) {
    nlohmann::ordered_json manifest = {{"step", step}, {"files", entries_}};
    return Write(kManifestFile, manifest.dump(1) + "\n");
  }

 private:
  absl::Status Write(const std::string& name, const std::string& text) {
    ATTUNE_ASSIGN_OR_RETURN(auto file, files_.Create(absl::StrCat(directory_, "/", name)));
    ATTUNE_RETURN_IF_ERROR(file->Append(text));
    ATTUNE_RETURN_IF_ERROR(file->Sync());
    return file->Close();
  }

  void Record(const std::string& name, int64_t size, const std::string& sha256, const char* purpose) {
    entries_.push_back({{"path", name}, {"size_bytes", size}, {"sha256", sha256}, {"purpose", purpose}});
  }

  Files& files_;
  const std::string directory_;
  nlohmann::ordered_json entries_ = nlohmann::ordered_json::array();
};

absl::Status WriteInto(Files& files, const std::string& directory, const CheckpointContent& content) {
  ATTUNE_RETURN_IF_ERROR(files.CreateDirectories(directory));
  DirectoryWriter writer(files, directory);
  ATTUNE_RETURN_IF_ERROR(writer.WriteTensors(kModelFile, content.weights, "weights"));
  ATTUNE_RETURN_IF_ERROR(writer.WriteTensors(kOptimizerFile, content.optimizer, "resume"));
  for (const CheckpointFile& file : content.files) {
    ATTUNE_RETURN_IF_ERROR(writer.WriteText(file.path, *file.content, file.for_resume ? "resume" : "weights"));
  }
  ATTUNE_RETURN_IF_ERROR(writer.WriteManifest(content.step));
  return files.SyncDirectory(directory);
}

}  // namespace

std::string CheckpointDirectory(int64_t step) { return absl::StrCat("step-", step); }

absl::Status WriteCheckpoint(Files& files, const std::string& root, const CheckpointContent& content) {
  const std::string target = absl::StrCat(root, "/", CheckpointDirectory(content.step));
  const std::string unfinished = target + kUnfinished;
  ATTUNE_RETURN_IF_ERROR(files.RemoveRecursively(unfinished));
  absl::Status status = WriteInto(files, unfinished, content);
  if (status.ok()) status = files.RemoveRecursively(target);
  if (status.ok()) status = files.Rename(unfinished, target);
  if (!status.ok()) {
    files.RemoveRecursively(unfinished).IgnoreError();  // the first error is the one that matters
    return status;
  }
  return files.SyncDirectory(root);
}

absl::Status RemoveUnfinishedCheckpoints(Files& files, const std::string& root) {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(root));
  for (const std::string& name : names) {
    if (absl::EndsWith(name, kUnfinished)) ATTUNE_RETURN_IF_ERROR(files.RemoveRecursively(absl::StrCat(root, "/", name)));
  }
  return absl::OkStatus();
}

}  // namespace attune::training
