#include "server/datasets/dataset_preview.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "server/base/page_token.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/importing/import_plan.h"
#include "server/datasets/images/thumbnail.h"
#include "server/examples/example.h"
#include "server/images/image_info.h"

namespace attune::datasets {
namespace {

constexpr int32_t kMaxPageSize = 1000;
constexpr size_t kMaxPreviewBytes = size_t{1} << 20;
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

// Everything of a request that does not need the dataset.
absl::Status CheckRequest(const v1::PreviewRowsRequest& request) {
  if (request.thumbnail_pixels() < 0 || request.thumbnail_pixels() > kMaxThumbnailPixels) {
    return FieldError("thumbnail_pixels", StrCat("thumbnail_pixels is ", request.thumbnail_pixels(),
                                                 ": give 1 to ", kMaxThumbnailPixels, ", or 0 for no thumbnails"));
  }
  if (request.row_indices().empty()) return absl::OkStatus();
  if (request.row_indices_size() > kMaxPageSize) {
    return FieldError("row_indices", StrCat("row_indices has ", request.row_indices_size(), " entries: ask for at most ",
                                            kMaxPageSize, " rows at once"));
  }
  if (request.page_size() != 0 || !request.page_token().empty()) {
    return FieldError(request.page_size() != 0 ? "page_size" : "page_token",
                      "row_indices names the rows: leave page_size and page_token out");
  }
  return absl::OkStatus();
}

// Rows that are added to a response until it is full.
class RowCollector {
 public:
  RowCollector(const examples::ExampleReader& reader, examples::Split split, const tokenizers::Tokenizer* tokenizer,
               int thumbnail_pixels)
      : reader_(reader), split_(split), tokenizer_(tokenizer), thumbnail_pixels_(thumbnail_pixels) {}

  // False when there is no room for it. The first row always has room.
  absl::StatusOr<bool> Add(int64_t index, v1::PreviewRowsResponse& response) {
    if (bytes_ >= kMaxPreviewBytes) return false;
    ATTUNE_ASSIGN_OR_RETURN(const examples::ExampleView example, reader_.View(split_, index));
    v1::PreviewRow row;
    ATTUNE_RETURN_IF_ERROR(FillRow(example, reader_.manifest(), tokenizer_, thumbnail_pixels_, row));
    const size_t row_bytes = row.ByteSizeLong();
    if (response.rows_size() > 0 && bytes_ + row_bytes > kMaxPreviewBytes) return false;
    bytes_ += row_bytes;
    *response.add_rows() = std::move(row);
    return true;
  }

 private:
  const examples::ExampleReader& reader_;
  const examples::Split split_;
  const tokenizers::Tokenizer* const tokenizer_;
  const int thumbnail_pixels_;
  size_t bytes_ = 0;
};

absl::StatusOr<v1::PreviewRowsResponse> NamedRows(const v1::PreviewRowsRequest& request, int64_t rows,
                                                  examples::Split split, RowCollector& collector) {
  for (int i = 0; i < request.row_indices_size(); ++i) {
    const int64_t index = request.row_indices(i);
    if (index >= 0 && index < rows) continue;
    return FieldError(StrCat("row_indices[", i, "]"),
                      StrCat("row_indices[", i, "] is ", index, ": the ", examples::SplitName(split), " split has ", rows,
                             rows == 0 ? " rows" : StrCat(" rows, 0 to ", rows - 1)));
  }
  v1::PreviewRowsResponse response;
  for (const int64_t index : request.row_indices()) {
    ATTUNE_ASSIGN_OR_RETURN(const bool added, collector.Add(index, response));
    if (!added) break;
  }
  return response;
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
  ATTUNE_RETURN_IF_ERROR(CheckRequest(request));
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
  RowCollector collector(*reader, split, tokenizer, request.thumbnail_pixels());
  if (!request.row_indices().empty()) return NamedRows(request, reader->size(split), split, collector);
  v1::PreviewRowsResponse response;
  for (; index < reader->size(split) && response.rows_size() < page_size; ++index) {
    ATTUNE_ASSIGN_OR_RETURN(const bool added, collector.Add(index, response));
    if (!added) break;
  }
  if (index < reader->size(split)) response.set_next_page_token(MakePageToken(scope, StrCat(index)));
  return response;
}

}  // namespace attune::datasets
