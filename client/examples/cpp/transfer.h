// Files to the server and back, over streams that are cut. Errors: CallError; std::runtime_error when what came is not
// what was due.
//
//   const v1::Upload upload = SendRest(*uploads, CreateUpload(*uploads, path, content).name(), content);
#pragma once

#include <string>

#include "attune/v1/checkpoint.grpc.pb.h"
#include "attune/v1/upload.grpc.pb.h"

namespace example {

// 64 hex digits.
std::string Sha256(const std::string& content);
// One that nobody else has.
std::string NewRequestId();

attune::v1::Upload CreateUpload(attune::v1::UploadService::Stub& uploads, const std::string& path,
                                const std::string& content);
// Sends a part, cuts the stream, and returns what the server has kept.
attune::v1::Upload SendFirstPart(attune::v1::UploadService::Stub& uploads, const std::string& name,
                                 const std::string& part);
// Sends what the server does not have yet.
attune::v1::Upload SendRest(attune::v1::UploadService::Stub& uploads, const std::string& name,
                            const std::string& content);
// Appends a checkpoint's file to `content`, from where that ends: this many pieces at most, then the stream is cut. 0:
// all.
void Receive(attune::v1::CheckpointService::Stub& checkpoints, const std::string& checkpoint, const std::string& path,
             std::string& content, int most_pieces);

}  // namespace example
