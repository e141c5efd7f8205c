#include "client/cpp/predict.h"

#include <utility>

#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::client {
namespace {

// The server's limits.
constexpr int64_t kMaxImageBytes = 16 << 20;
constexpr size_t kBytesInOneCall = 32 << 20;
constexpr int kImagesInOneCall = 64;

absl::Status CheckImage(const std::string& path) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t bytes, FileSize(path));
  if (bytes == 0) return absl::InvalidArgumentError(StrCat(path, " is empty"));
  if (bytes <= kMaxImageBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      StrCat(path, " has ", bytes, " bytes and an image may have ", kMaxImageBytes, " (16 MiB); make it smaller"));
}

}  // namespace

absl::StatusOr<v1::PredictResponse> PredictImageFiles(Client& client, const std::string& checkpoint,
                                                      const std::vector<std::string>& paths, int views) {
  v1::PredictResponse all;
  v1::PredictRequest part;
  part.set_checkpoint(checkpoint);
  part.set_views(views);
  size_t bytes = 0;
  const auto send = [&]() -> absl::Status {
    ATTUNE_ASSIGN_OR_RETURN(v1::PredictResponse answer, client.Predict(part));
    all.MergeFrom(answer);
    part.set_checkpoint(answer.checkpoint());
    part.clear_images();
    bytes = 0;
    return absl::OkStatus();
  };
  for (const std::string& path : paths) ATTUNE_RETURN_IF_ERROR(CheckImage(path));  // before the first is sent
  for (const std::string& path : paths) {
    ATTUNE_ASSIGN_OR_RETURN(std::string image, ReadFile(path, kMaxImageBytes));
    if (part.images_size() == kImagesInOneCall || bytes + image.size() > kBytesInOneCall)
      ATTUNE_RETURN_IF_ERROR(send());
    bytes += image.size();
    *part.add_images() = std::move(image);
  }
  if (part.images_size() > 0) ATTUNE_RETURN_IF_ERROR(send());
  return all;
}

}  // namespace attune::client
