#include <algorithm>
#include <cmath>

#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/examples/example.h"
#include "server/examples/record.h"

namespace attune::examples {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

// A file whose writes are gathered, and hashed into the digest that both files share.
class HashedFile {
 public:
  HashedFile(std::unique_ptr<WritableFile> file, Sha256* hash) : file_(std::move(file)), hash_(hash) {}
  std::string* buffer() { return &buffer_; }
  absl::Status FlushIfFull() { return buffer_.size() >= kBufferBytes ? Flush() : absl::OkStatus(); }
  absl::Status Finish() {
    ATTUNE_RETURN_IF_ERROR(Flush());
    ATTUNE_RETURN_IF_ERROR(file_->Sync());
    return file_->Close();
  }

 private:
  absl::Status Flush() {
    ATTUNE_RETURN_IF_ERROR(file_->Append(buffer_));
    hash_->Update(buffer_);
    buffer_.clear();
    return absl::OkStatus();
  }
  std::unique_ptr<WritableFile> file_;
  Sha256* const hash_;
  std::string buffer_;
};

// What the labels of all rows so far have in common; compared with the manifest at the end, when the label kind is
// known.
struct LabelSummary {
  size_t min_count = SIZE_MAX;
  size_t max_count = 0;
  int32_t min_index = 0;
  int32_t max_index = -1;
  bool sorted = true;

  void Add(const std::vector<int32_t>& labels) {
    min_count = std::min(min_count, labels.size());
    max_count = std::max(max_count, labels.size());
    for (size_t i = 0; i < labels.size(); ++i) {
      min_index = std::min(min_index, labels[i]);
      max_index = std::max(max_index, labels[i]);
      if (i > 0 && labels[i - 1] >= labels[i]) sorted = false;
    }
  }

  absl::Status Check(const DatasetManifest& manifest) const {
    if (max_index >= static_cast<int64_t>(manifest.labels.size()) || min_index < 0) {
      return absl::InvalidArgumentError(StrCat("a row has the label index ", min_index < 0 ? min_index : max_index,
                                               ", outside the manifest's ", manifest.labels.size(), " labels"));
    }
    if (min_count == SIZE_MAX) return absl::OkStatus();  // no rows
    switch (manifest.label_kind) {
      case LabelKind::kSingleLabel:
        if (min_count == 1 && max_count == 1) return absl::OkStatus();
        return absl::InvalidArgumentError("a single-label dataset needs exactly one label in every row");
      case LabelKind::kMultiLabel:
        if (sorted) return absl::OkStatus();
        return absl::InvalidArgumentError("the labels of a multi-label row must be sorted and distinct");
      case LabelKind::kRegression:
        if (max_count == 0) return absl::OkStatus();
        return absl::InvalidArgumentError("a regression dataset has values, not labels");
    }
    return absl::OkStatus();
  }
};

}  // namespace

struct ExampleWriter::State {
  State(Files& files, std::string directory) : files(files), directory(std::move(directory)) {}
  Files& files;
  const std::string directory;
  Sha256 hash;
  std::unique_ptr<HashedFile> rows;
  uint64_t rows_bytes = 0;
  std::array<std::vector<uint64_t>, kSplitCount> offsets;
  LabelSummary labels;
  std::array<int64_t, 2> rows_of{};  // by modality
  absl::Status broken;               // the first error of the disk, or that Finish has run
};

ExampleWriter::ExampleWriter() = default;
ExampleWriter::~ExampleWriter() = default;

absl::StatusOr<std::unique_ptr<ExampleWriter>> ExampleWriter::Create(Files& files, std::string directory) {
  ATTUNE_RETURN_IF_ERROR(files.CreateDirectories(directory));
  // Or an interrupted rewrite would pair the old manifest with new rows.
  ATTUNE_RETURN_IF_ERROR(files.Remove(directory + "/manifest.json"));
  ATTUNE_RETURN_IF_ERROR(files.SyncDirectory(directory));
  ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> rows, files.Create(directory + "/rows.bin"));
  std::unique_ptr<ExampleWriter> writer(new ExampleWriter);
  writer->state_ = std::make_unique<State>(files, std::move(directory));
  writer->state_->rows = std::make_unique<HashedFile>(std::move(rows), &writer->state_->hash);
  return writer;
}

absl::Status ExampleWriter::Add(Split split, const Example& example) {
  ATTUNE_RETURN_IF_ERROR(state_->broken);
  const bool is_image = !example.image.empty();
  const std::string place = is_image ? example.entry : StrCat("line ", example.line);
  if (is_image && (!example.text.empty() || example.has_text_pair)) {
    return absl::InvalidArgumentError(StrCat(place, " has both a text and an image, and a row has one of them"));
  }
  const int64_t size = RecordBytes(example);
  if (size > kMaxRecordBytes) {
    return absl::InvalidArgumentError(StrCat(place, " needs ", size, " bytes, and a row may have ", kMaxRecordBytes));
  }
  if (!std::isfinite(example.value)) {
    return absl::InvalidArgumentError(StrCat(place, " has a value that is not finite"));
  }
  state_->offsets[static_cast<size_t>(split)].push_back(state_->rows_bytes);
  state_->labels.Add(example.labels);
  ++state_->rows_of[static_cast<size_t>(is_image ? Modality::kImage : Modality::kText)];
  AppendU32(static_cast<uint32_t>(size), state_->rows->buffer());
  AppendRecord(example, state_->rows->buffer());
  state_->rows_bytes += sizeof(uint32_t) + static_cast<uint64_t>(size);
  return state_->broken = state_->rows->FlushIfFull();
}

absl::Status ExampleWriter::Finish(DatasetManifest& manifest) {
  ATTUNE_RETURN_IF_ERROR(state_->broken);
  ATTUNE_RETURN_IF_ERROR(state_->labels.Check(manifest));
  const Modality other = manifest.modality == Modality::kImage ? Modality::kText : Modality::kImage;
  if (state_->rows_of[static_cast<size_t>(other)] > 0) {
    return absl::InvalidArgumentError(StrCat("a row holds ", ModalityName(other), " and the manifest's modality is ",
                                             ModalityName(manifest.modality)));
  }
  state_->broken = absl::FailedPreconditionError("the dataset is already finished, or finishing it failed");
  ATTUNE_RETURN_IF_ERROR(state_->rows->Finish());
  ATTUNE_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, state_->files.Create(state_->directory + "/index.bin"));
  HashedFile index(std::move(file), &state_->hash);
  for (size_t split = 0; split < kSplitCount; ++split) {
    manifest.rows[split] = static_cast<int64_t>(state_->offsets[split].size());
    for (uint64_t offset : state_->offsets[split]) {
      AppendU64(offset, index.buffer());
      ATTUNE_RETURN_IF_ERROR(index.FlushIfFull());
    }
  }
  ATTUNE_RETURN_IF_ERROR(index.Finish());
  manifest.digest = state_->hash.HexDigest();
  return WriteFileAtomically(state_->files, state_->directory + "/manifest.json", manifest.ToJson());
}

}  // namespace attune::examples
