// Sends a file, whatever happens to the connection: the content is hashed first, goes out in pieces of 256 KiB, and
// after a cut goes on from the bytes that the server has safe. Thread-safe (each call stands for itself).
//
//   ATTUNE_ASSIGN_OR_RETURN(v1::Upload upload, UploadFile(*client, "reviews.csv"));
//
// Errors: NOT_FOUND or INVALID_ARGUMENT for a file that is not there, empty or no file; FAILED_PRECONDITION when it
// changes meanwhile; DATA_LOSS when its hash is wrong twice; the server's otherwise. The same file sent again continues
// or reuses what is there: the request_id comes from name and content.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "attune/v1/upload.pb.h"
#include "client/cpp/client.h"

namespace attune::client {

// How far a transfer is. Called from the thread that transfers.
struct TransferProgress {
  std::string name;        // of the file
  int64_t done_bytes = 0;  // may step back after a cut
  int64_t total_bytes = 0;
};
using OnTransfer = std::function<void(const TransferProgress&)>;

struct UploadOptions {
  std::string filename;    // as the server knows it; empty: the last part of the path
  std::string request_id;  // empty: from filename and content
  OnTransfer progress;
  std::string project;  // empty: "default" where the caller has it, else their only one
};

absl::StatusOr<v1::Upload> UploadFile(Client& client, const std::string& path, const UploadOptions& options = {});

}  // namespace attune::client
