// The canonical form of a dataset: what server/datasets writes and training/input reads. Torch-free and gRPC-free.
//
// A dataset directory holds
//   manifest.json   DatasetManifest
//   rows.bin        one record a row: u32 little-endian length, then the record (see record.h)
//   index.bin       for each split in the order train, validation, test: u64 little-endian offsets into rows.bin
// Rows keep the order of the files; a row's position within its split is its example index, which seeds refer to. A
// directory without manifest.json is unfinished.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto reader, ExampleReader::Open(directory));
//   for (int64_t i = 0; i < reader->size(Split::kTrain); ++i) { ATTUNE_ASSIGN_OR_RETURN(Example e,
//   reader->Get(Split::kTrain, i)); ... }
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/files.h"

namespace attune::examples {

enum class LabelKind { kSingleLabel, kMultiLabel, kRegression };
enum class Modality { kText, kImage };
enum class Split { kTrain, kValidation, kTest };
inline constexpr int kSplitCount = 3;
const char* SplitName(Split split);           // "train", "validation", "test"
const char* ModalityName(Modality modality);  // "text", "image"

struct Example {
  std::string text;
  std::string text_pair;  // empty when has_text_pair is false
  bool has_text_pair = false;
  std::string image;            // an image file's bytes as uploaded (JPEG, PNG, WebP, BMP, PGM); empty in text datasets
  std::string entry;            // image: its path in the archive, for messages; empty in text datasets
  std::vector<int32_t> labels;  // class indices: one for single label, sorted for multi-label, none for regression
  double value = 0;             // regression
  uint32_t file = 0;            // index into DatasetManifest::filenames
  int64_t line = 0;             // 1-based line of that file; 0 for images
};

// The same row without a copy: texts and image point into the reader's mapping and are valid as long as the reader. For
// loader threads, which read an image's bytes once and throw them away.
struct ExampleView {
  std::string_view text;
  std::string_view text_pair;  // empty when has_text_pair is false
  bool has_text_pair = false;
  std::string_view image;  // empty in text datasets
  std::string_view entry;
  std::vector<int32_t> labels;
  double value = 0;
  uint32_t file = 0;
  int64_t line = 0;
};

struct DatasetManifest {
  int version = 2;  // 1: written before there were images; such a dataset is of texts
  Modality modality = Modality::kText;
  LabelKind label_kind = LabelKind::kSingleLabel;
  std::vector<std::string> labels;  // class names in index order
  bool has_text_pair = false;
  std::vector<std::string> filenames;
  std::array<int64_t, kSplitCount> rows{};
  std::string digest;  // SHA-256 of rows.bin and index.bin
  std::string ToJson() const;
  // DATA_LOSS naming the key that is missing or wrong; FAILED_PRECONDITION for a version that this program does not
  // know.
  static absl::StatusOr<DatasetManifest> FromJson(std::string_view json);
};

// Writes a dataset directory. Add rows in any order of splits, then Finish once. Not thread-safe. Memory: 1 MiB and 8
// bytes a row. After an error of the disk every call repeats that error.
class ExampleWriter {
 public:
  // Makes the directory if need be; a dataset that was in it is no longer one.
  static absl::StatusOr<std::unique_ptr<ExampleWriter>> Create(Files& files, std::string directory);
  ~ExampleWriter();
  // INVALID_ARGUMENT for a row that is not storable: over 1 GiB, a value that is not finite, or both a text and an
  // image.
  absl::Status Add(Split split, const Example& example);
  // Fills in manifest.rows and manifest.digest, writes index.bin and, last and atomically, manifest.json. Everything is
  // synced. INVALID_ARGUMENT when a row's labels do not fit manifest.label_kind and manifest.labels, or its content
  // does not fit manifest.modality.
  absl::Status Finish(DatasetManifest& manifest);

 private:
  ExampleWriter();
  struct State;
  std::unique_ptr<State> state_;
};

// Maps a dataset directory and decodes rows at random. Immutable after Open; thread-safe. Corrupt files give DATA_LOSS.
class ExampleReader {
 public:
  // Cheap: checks the manifest and the sizes; a record is checked when it is read. NOT_FOUND when there is no finished
  // dataset.
  static absl::StatusOr<std::shared_ptr<const ExampleReader>> Open(const std::string& directory);
  ~ExampleReader();
  const DatasetManifest& manifest() const;
  int64_t size(Split split) const;
  absl::StatusOr<Example> Get(Split split, int64_t index) const;  // OUT_OF_RANGE beyond size
  // Checks as Get does, and copies nothing but the labels.
  absl::StatusOr<ExampleView> View(Split split, int64_t index) const;
  // Reads everything and compares it with the manifest's digest.
  absl::Status VerifyDigest() const;

 private:
  ExampleReader();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace attune::examples
