// IdxReader: a pair of files as MNIST has them, images (idx3-ubyte: count, height, width, grey bytes) and their labels
// (idx1-ubyte), read side by side; each may be packed with gzip or zstd. Images come out as PGM files. Bounded memory;
// not thread-safe. Errors: INVALID_ARGUMENT that names the file and says what is wrong with it; INTERNAL for the disk.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto reader, IdxReader::Open({...}, {...}));
//   while (true) { ATTUNE_ASSIGN_OR_RETURN(bool got, reader->Next(image)); if (!got) break; ... }
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/datasets/formats/byte_source.h"
#include "server/examples/example.h"

namespace attune::datasets {

struct IdxImage {
  std::string bytes;  // a PGM file
  uint8_t label = 0;
};

class IdxReader {
 public:
  static absl::StatusOr<std::unique_ptr<IdxReader>> Open(const InputFile& images, const InputFile& labels);
  absl::StatusOr<bool> Next(IdxImage& image);
  int32_t width() const { return width_; }
  int32_t height() const { return height_; }
  // Of both files.
  int64_t file_bytes() const { return images_->file_bytes() + labels_->file_bytes(); }

 private:
  IdxReader() = default;
  absl::Status ReadHeaders();

  InputFile image_file_, label_file_;
  std::unique_ptr<ByteSource> images_, labels_;
  int64_t left_ = 0;
  int32_t width_ = 0, height_ = 0;
  std::string pgm_header_;
};

// Whether a file holds the images of a pair, by its name; otherwise it holds labels.
bool HoldsIdxImages(std::string_view filename);
// The position in `filenames` of the labels that belong to `filenames[images]`. INVALID_ARGUMENT when they are not
// there.
absl::StatusOr<size_t> FindIdxLabels(const std::vector<std::string>& filenames, size_t images);
// "train", "valid", "t10k" or "test" in the name.
std::optional<examples::Split> SplitOfIdx(std::string_view filename);

}  // namespace attune::datasets
