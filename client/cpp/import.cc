#include "client/cpp/import.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "client/cpp/names.h"
#include "client/cpp/pack_directory.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::client {
namespace {

constexpr const char* kRequired[] = {"config.json", "model.safetensors"};
constexpr const char* kRequiredOfText[] = {"tokenizer.json"};
constexpr const char* kOptionalOfText[] = {"tokenizer_config.json", "special_tokens_map.json", "vocab.txt"};
constexpr const char* kOptionalOfImages[] = {"preprocessor_config.json"};
constexpr int64_t kMaxConfigBytes = 4 << 20;  // the server takes no more

bool Has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// How to get a file that is not there, by what is.
std::string HowToMake(const std::string& missing, const std::vector<std::string>& present) {
  if (missing == "model.safetensors") {
    for (const std::string& name : present) {
      if (absl::EndsWith(name, ".bin") || absl::EndsWith(name, ".pt") || absl::EndsWith(name, ".pth")) {
        return StrCat(name,
                      " is a pickle, which can run code; load it once with transformers and save_pretrained() writes "
                      "model.safetensors");
      }
      if (absl::EndsWith(name, "model.safetensors.index.json")) {
        return "the weights are in several files; load them with transformers and save_pretrained(dir, "
               "max_shard_size=\"100GB\") writes one";
      }
    }
  }
  if (missing == "tokenizer.json") {
    return "AutoTokenizer.from_pretrained(dir).save_pretrained(dir) with a fast tokenizer writes it";
  }
  return "a directory that transformers' save_pretrained() wrote has it; for a torchvision model write config.json "
         "({\"model_type\": \"resnet50\"}) and safetensors.torch.save_file(model.state_dict(), \"model.safetensors\")";
}

// What the architecture of the directory's config.json takes; empty when it cannot be said, and the server will say why.
absl::StatusOr<std::string> ModalityOf(Client& client, const std::string& directory) {
  ATTUNE_ASSIGN_OR_RETURN(const std::string text, ReadFile(directory + "/config.json", kMaxConfigBytes));
  google::protobuf::Struct config;
  if (!google::protobuf::util::JsonStringToMessage(text, &config).ok()) return "";
  const auto type = config.fields().find("model_type");
  if (type == config.fields().end()) return "";
  ATTUNE_ASSIGN_OR_RETURN(const v1::ListArchitecturesResponse response, client.ListArchitectures());
  for (const v1::Architecture& architecture : response.architectures()) {
    if (architecture.name() != type->second.string_value()) continue;
    return architecture.modality().empty() ? "text" : architecture.modality();  // servers of before images do not say it
  }
  return "";
}

// Through a temporary file, because an upload that was cut must find the same bytes again.
absl::StatusOr<v1::Upload> UploadFileOrFolder(Client& client, const std::string& path, const std::string& project, const OnTransfer& progress) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return UploadFile(client, path, {.progress = progress, .project = project});
  const std::filesystem::path folder = std::filesystem::absolute(path).lexically_normal();
  const std::string name = (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  const TemporaryDirectory scratch;
  const std::string tar = scratch.path() + "/folder.tar";
  ATTUNE_RETURN_IF_ERROR(PackDirectory(path, tar));
  return UploadFile(client, tar, {.filename = StrCat(name.empty() ? "folder" : name, ".tar"), .progress = progress, .project = project});
}

}  // namespace

absl::StatusOr<v1::Dataset> ImportDatasetFiles(Client& client, const std::vector<DatasetFile>& files,
                                               v1::ImportDatasetRequest request, const ImportCallbacks& callbacks) {
  request.clear_files();
  for (const DatasetFile& file : files) {
    ATTUNE_ASSIGN_OR_RETURN(const v1::Upload upload, UploadFileOrFolder(client, file.path, request.project(), callbacks.upload));
    v1::ImportFile& entry = *request.add_files();
    entry.set_upload(upload.name());
    entry.set_split(file.split);
  }
  return client.ImportDataset(std::move(request), callbacks.import);
}

absl::StatusOr<std::vector<std::string>> FindModelFiles(const std::string& directory, std::string_view modality) {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> present, ListDirectory(directory));
  std::vector<std::string> found, missing;
  const auto take = [&](const auto& names, bool required) {
    for (const char* name : names) {
      if (Has(present, name)) {
        found.push_back(name);
      } else if (required) {
        missing.push_back(name);
      }
    }
  };
  take(kRequired, true);
  if (modality != "image") take(kRequiredOfText, modality == "text");
  if (!missing.empty()) {
    return absl::InvalidArgumentError(
        StrCat(directory, " has no ", absl::StrJoin(missing, ", no "), ": ", HowToMake(missing.front(), present)));
  }
  if (modality != "image") take(kOptionalOfText, false);
  if (modality != "text") take(kOptionalOfImages, false);
  return found;
}

absl::StatusOr<v1::Model> ImportModelDirectory(Client& client, const std::string& directory,
                                               v1::ImportModelRequest request, const OnTransfer& progress) {
  if (request.model_id().empty()) request.set_model_id(IdFromPath(directory));
  if (request.model_id().empty()) {
    return absl::InvalidArgumentError(
        StrCat("no model id can be made of the directory name ", directory, ": give one"));
  }
  ATTUNE_RETURN_IF_ERROR(FindModelFiles(directory, "").status());
  ATTUNE_ASSIGN_OR_RETURN(const std::string modality, ModalityOf(client, directory));
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> names, FindModelFiles(directory, modality));
  request.clear_files();
  for (const std::string& name : names) {
    ATTUNE_ASSIGN_OR_RETURN(const v1::Upload upload,
                            UploadFile(client, directory + "/" + name, {.progress = progress, .project = request.project()}));
    v1::ModelFile& entry = *request.add_files();
    entry.set_path(name);
    entry.set_upload(upload.name());
  }
  return client.ImportModel(std::move(request));
}

}  // namespace attune::client
