#include "server/catalogue/import_request.h"

#include <algorithm>
#include <vector>

#include "server/base/ids.h"
#include "server/base/projects.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/catalogue/model_files.h"

namespace attune::catalogue {
namespace {

constexpr size_t kMaxDisplayNameBytes = 256;
constexpr int kMaxFiles = 64;

absl::Status CheckLength(const char* field, const std::string& text, size_t max_bytes) {
  if (text.size() <= max_bytes) return absl::OkStatus();
  return absl::InvalidArgumentError(StrCat(field, " has ", text.size(), " bytes; use at most ", max_bytes));
}

}  // namespace

absl::Status CheckImportRequest(const v1::ImportModelRequest& request) {
  ATTUNE_RETURN_IF_ERROR(CheckResourceId(request.model_id(), "model_id"));
  ATTUNE_RETURN_IF_ERROR(CheckLength("display_name", request.display_name(), kMaxDisplayNameBytes));
  ATTUNE_RETURN_IF_ERROR(CheckLength("request_id", request.request_id(), kMaxScopedRequestIdBytes));
  if (request.files_size() > kMaxFiles) {
    return absl::InvalidArgumentError(
        StrCat("files: ", request.files_size(), " are too many; a model has at most ", ModelFileRules().size()));
  }
  std::vector<std::string> names;
  for (const v1::ModelFile& file : request.files()) names.push_back(file.path());
  ATTUNE_RETURN_IF_ERROR(CheckModelFileNames(names));
  for (int i = 0; i < request.files_size(); ++i) {
    const absl::Status status = ParseResourceName(request.files(i).upload(), "uploads").status();
    if (!status.ok())
      return absl::Status(status.code(), StrCat("files[", i, "].upload: ", std::string(status.message())));
  }
  return absl::OkStatus();
}

std::string ImportRequestDigest(const v1::ImportModelRequest& request) {
  std::vector<std::string> files;
  for (const v1::ModelFile& file : request.files()) files.push_back(StrCat(file.path(), "\n", file.upload()));
  std::sort(files.begin(), files.end());  // their order means nothing
  // Each part with its length, so that no two requests run into one text.
  std::string text = StrCat(request.model_id().size(), ":", request.model_id(), request.display_name().size(), ":",
                            request.display_name());
  for (const std::string& file : files) StrAppend(&text, file.size(), ":", file);
  return Sha256Hex(text);
}

}  // namespace attune::catalogue
