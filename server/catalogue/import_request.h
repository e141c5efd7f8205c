// What an ImportModelRequest may say, before any file is looked at. Pure; thread-safe.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "attune/v1/model.pb.h"

namespace attune::catalogue {

// INVALID_ARGUMENT naming the field.
absl::Status CheckImportRequest(const v1::ImportModelRequest& request);

// Equal for requests that ask for the same, request_id aside.
std::string ImportRequestDigest(const v1::ImportModelRequest& request);

}  // namespace attune::catalogue
