// What a client may ask for when it creates an upload. Pure: tables test it. For this folder only. Errors:
// INVALID_ARGUMENT naming the field.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/artifacts/artifact_store.h"

namespace attune::artifacts {

// 1 to 255 bytes of UTF-8 without slashes, backslashes and control characters; neither "." nor "..".
absl::Status CheckFilename(std::string_view filename);

// The checked options, with the hash in lower case.
absl::StatusOr<CreateUploadOptions> CheckCreateUpload(CreateUploadOptions options);

// SHA-256 over everything but the request_id: equal exactly when two requests ask for the same.
std::string PayloadDigest(const CreateUploadOptions& checked);

}  // namespace attune::artifacts
