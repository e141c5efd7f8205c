#include "client/cpp/import.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "client/cpp/names.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::client {
namespace {

constexpr const char* kRequired[] = {"config.json", "model.safetensors", "tokenizer.json"};
constexpr const char* kOptional[] = {"tokenizer_config.json", "special_tokens_map.json", "vocab.txt"};

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
  return "a directory that transformers' save_pretrained() wrote has it";
}

}  // namespace

absl::StatusOr<v1::Dataset> ImportDatasetFiles(Client& client, const std::vector<DatasetFile>& files,
                                               v1::ImportDatasetRequest request, const ImportCallbacks& callbacks) {
  request.clear_files();
  for (const DatasetFile& file : files) {
    ATTUNE_ASSIGN_OR_RETURN(const v1::Upload upload, UploadFile(client, file.path, {.progress = callbacks.upload}));
    v1::ImportFile& entry = *request.add_files();
    entry.set_upload(upload.name());
    entry.set_split(file.split);
  }
  return client.ImportDataset(std::move(request), callbacks.import);
}

absl::StatusOr<std::vector<std::string>> FindModelFiles(const std::string& directory) {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> present, ListDirectory(directory));
  std::vector<std::string> found, missing;
  for (const char* name : kRequired) (Has(present, name) ? found : missing).push_back(name);
  if (!missing.empty()) {
    return absl::InvalidArgumentError(
        StrCat(directory, " has no ", absl::StrJoin(missing, ", no "), ": ", HowToMake(missing.front(), present)));
  }
  for (const char* name : kOptional) {
    if (Has(present, name)) found.push_back(name);
  }
  return found;
}

absl::StatusOr<v1::Model> ImportModelDirectory(Client& client, const std::string& directory,
                                               v1::ImportModelRequest request, const OnTransfer& progress) {
  if (request.model_id().empty()) request.set_model_id(IdFromPath(directory));
  if (request.model_id().empty()) {
    return absl::InvalidArgumentError(
        StrCat("no model id can be made of the directory name ", directory, ": give one"));
  }
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> names, FindModelFiles(directory));
  request.clear_files();
  for (const std::string& name : names) {
    ATTUNE_ASSIGN_OR_RETURN(const v1::Upload upload,
                            UploadFile(client, directory + "/" + name, {.progress = progress}));
    v1::ModelFile& entry = *request.add_files();
    entry.set_path(name);
    entry.set_upload(upload.name());
  }
  return client.ImportModel(std::move(request));
}

}  // namespace attune::client
