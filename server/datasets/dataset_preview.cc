#include "server/datasets/dataset_preview.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "server/base/page_token.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/images/thumbnail.h"
#include "server/datasets/importing/import_plan.h"
#include "server/examples/example.h"
#include "server/images/image_info.h"

namespace attune::datasets {
namespace {

constexpr int32_t kMaxPageSize = 1000;
constexpr size_t kMaxPageBytes = size_t{1} << 20;
constexpr int kMaxThumbnailPixels = 256;

absl::Status FillImage(const examples::ExampleView& example, int thumbnail_pixels, v1::PreviewRow& row) {
  row.set_entry(std::string(example.entry));
  ATTUNE_ASSIGN_OR_RETURN(const images::ImageInfo info, images::ReadImageInfo(example.image));
  row.set_width(info.width);
  row.set_height(info.height);
  if (thumbnail_pixels == 0) return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(*row.mutable_thumbnail(), MakeThumbnail(example.image, thumbnail_pixels));
  return absl::OkStatus();
}

absl::Status FillRow(const examples::ExampleView& example, const examples::DatasetManifest& manifest,
                     const tokenizers::Tokenizer* tokenizer, int thumbnail_pixels, v1::PreviewRow& row) {
  if (example.image.empty()) {
    row.mutable_input()->set_text(std::string(example.text));
    if (example.has_text_pair) row.mutable_input()->set_text_pair(std::string(example.text_pair));
  } else {
    ATTUNE_RETURN_IF_ERROR(FillImage(example, thumbnail_pixels, row));
  }
  for (const int32_t label : example.labels) row.add_labels(manifest.labels[static_cast<size_t>(label)]);
  row.set_value(example.value);
  if (example.file < manifest.filenames.size()) row.set_filename(manifest.filenames[example.file]);
  row.set_line(example.line);
  if (tokenizer == nullptr) return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(const tokenizers::Encoding encoding,
                          tokenizer->Encode(example.text, example.has_text_pair ? &example.text_pair : nullptr, 0));
  row.mutable_token_ids()->Add(encoding.ids.begin(), encoding.ids.end());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int32_t> PageSize(int32_t requested, int32_t fallback) {
  if (requested < 0)
    return FieldError("page_size",
                      StrCat("page_size is ", requested, ": give a number of entries, or 0 for ", fallback));
  return requested == 0 ? fallback : std::min(requested, kMaxPageSize);
}

absl::StatusOr<v1::PreviewRowsResponse> PreviewRows(const std::string& directory, const v1::PreviewRowsRequest& request,
                                                    const tokenizers::Tokenizer* tokenizer) {
  ATTUNE_ASSIGN_OR_RETURN(const int32_t page_size, PageSize(request.page_size(), 10));
  if (request.thumbnail_pixels() < 0 || request.thumbnail_pixels() > kMaxThumbnailPixels) {
    return FieldError("thumbnail_pixels", StrCat("thumbnail_pixels is ", request.thumbnail_pixels(), ": give 1 to ",
                                                 kMaxThumbnailPixels, ", or 0 for no thumbnails"));
  }
  const examples::Split split = FromProto(request.split()).value_or(examples::Split::kTrain);
  const std::string scope = StrCat("preview/", request.name(), "/", examples::SplitName(split));
  ATTUNE_ASSIGN_OR_RETURN(const std::string cursor, ReadPageToken(scope, request.page_token()));
  int64_t index = 0;
  if (!cursor.empty() && (!absl::SimpleAtoi(cursor, &index) || index < 0))
    return absl::InternalError(StrCat("strange page token: ", cursor));

  ATTUNE_ASSIGN_OR_RETURN(const auto reader, examples::ExampleReader::Open(directory));
  const bool is_images = reader->manifest().modality == examples::Modality::kImage;
  if (is_images && tokenizer != nullptr)
    return FieldError("tokenizer_model", StrCat(request.name(), " holds images, which have no tokens: leave it out"));
  v1::PreviewRowsResponse response;
  size_t bytes = 0;
  for (; index < reader->size(split) && response.rows_size() < page_size && bytes < kMaxPageBytes; ++index) {
    ATTUNE_ASSIGN_OR_RETURN(const examples::ExampleView example, reader->View(split, index));
    v1::PreviewRow row;
    ATTUNE_RETURN_IF_ERROR(FillRow(example, reader->manifest(), tokenizer, request.thumbnail_pixels(), row));
    const size_t row_bytes = row.ByteSizeLong();
    if (response.rows_size() > 0 && bytes + row_bytes > kMaxPageBytes) break;
    bytes += row_bytes;
    *response.add_rows() = std::move(row);
  }
  if (index < reader->size(split)) response.set_next_page_token(MakePageToken(scope, StrCat(index)));
  return response;
}

}  // namespace attune::datasets
