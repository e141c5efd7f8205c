#include <algorithm>
#include <functional>

#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/examples/example.h"
#include "server/examples/record.h"

namespace attune::examples {
namespace {

constexpr int64_t kMaxManifestBytes = 64 << 20;

absl::Status DataLoss(const std::string& directory, std::string_view what) {
  return absl::DataLossError(StrCat(directory, ": ", what, "; import the dataset again"));
}

// Whether `labels` is what the writer lets through for this manifest.
bool LabelsFit(const DatasetManifest& manifest, const std::vector<int32_t>& labels) {
  const int64_t classes = static_cast<int64_t>(manifest.labels.size());
  if (!std::all_of(labels.begin(), labels.end(), [&](int32_t label) { return label >= 0 && label < classes; }))
    return false;
  switch (manifest.label_kind) {
    case LabelKind::kSingleLabel:
      return labels.size() == 1;
    case LabelKind::kMultiLabel:
      return std::adjacent_find(labels.begin(), labels.end(), std::greater_equal<>()) == labels.end();
    case LabelKind::kRegression:
      return labels.empty();
  }
  return false;
}

}  // namespace

struct ExampleReader::State {
  std::string directory;
  DatasetManifest manifest;
  std::shared_ptr<const MappedFile> rows;
  std::shared_ptr<const MappedFile> index;
  std::array<int64_t, kSplitCount> first_entry{};  // of each split in index.bin
};

ExampleReader::ExampleReader() : state_(std::make_unique<State>()) {}
ExampleReader::~ExampleReader() = default;

const DatasetManifest& ExampleReader::manifest() const { return state_->manifest; }
int64_t ExampleReader::size(Split split) const { return state_->manifest.rows[static_cast<size_t>(split)]; }

absl::StatusOr<std::shared_ptr<const ExampleReader>> ExampleReader::Open(const std::string& directory) {
  ATTUNE_ASSIGN_OR_RETURN(std::string json, ReadFile(directory + "/manifest.json", kMaxManifestBytes));
  absl::StatusOr<DatasetManifest> manifest = DatasetManifest::FromJson(json);
  if (!manifest.ok()) {
    return absl::Status(manifest.status().code(), StrCat(directory, "/", manifest.status().message()));
  }
  std::shared_ptr<ExampleReader> reader(new ExampleReader);
  State& state = *reader->state_;
  state.directory = directory;
  state.manifest = *std::move(manifest);
  for (auto [name, mapping] : {std::pair("/rows.bin", &state.rows), std::pair("/index.bin", &state.index)}) {
    absl::StatusOr<std::shared_ptr<const MappedFile>> mapped = MappedFile::Open(directory + name);
    if (absl::IsNotFound(mapped.status())) return DataLoss(directory, StrCat(name + 1, " is missing"));
    if (!mapped.ok()) return mapped.status();
    *mapping = *std::move(mapped);
  }
  // Counted down from what is there, so that no sum of hostile counts can overflow.
  int64_t entries_left = static_cast<int64_t>(state.index->view().size() / sizeof(uint64_t));
  int64_t entry = 0;
  for (size_t split = 0; split < kSplitCount; ++split) {
    if (state.manifest.rows[split] > entries_left)
      return DataLoss(directory, "index.bin has fewer rows than the manifest");
    state.first_entry[split] = entry;
    entry += state.manifest.rows[split];
    entries_left -= state.manifest.rows[split];
  }
  if (static_cast<size_t>(entry) * sizeof(uint64_t) != state.index->view().size()) {
    return DataLoss(directory, "index.bin has more rows than the manifest");
  }
  return std::shared_ptr<const ExampleReader>(std::move(reader));
}

absl::StatusOr<ExampleView> ExampleReader::View(Split split, int64_t index) const {
  if (index < 0 || index >= size(split)) {
    return absl::OutOfRangeError(
        StrCat("row ", index, " of the ", SplitName(split), " split, which has ", size(split), " rows"));
  }
  const std::string_view rows = state_->rows->view();
  const int64_t entry = state_->first_entry[static_cast<size_t>(split)] + index;
  const uint64_t offset = LoadU64(state_->index->view().data() + entry * static_cast<int64_t>(sizeof(uint64_t)));
  auto damaged = [&] {
    return DataLoss(state_->directory, StrCat("row ", index, " of the ", SplitName(split), " split is damaged"));
  };
  if (offset > rows.size() || rows.size() - offset < sizeof(uint32_t)) return damaged();
  const std::string_view from_record = rows.substr(offset + sizeof(uint32_t));
  const uint32_t length = LoadU32(rows.data() + offset);
  if (length > from_record.size()) return damaged();
  absl::StatusOr<ExampleView> example = DecodeRecord(from_record.substr(0, length));
  if (!example.ok() || !LabelsFit(state_->manifest, example->labels)) return damaged();
  if (example->image.empty() == (state_->manifest.modality == Modality::kImage)) return damaged();
  return example;
}

absl::StatusOr<Example> ExampleReader::Get(Split split, int64_t index) const {
  ATTUNE_ASSIGN_OR_RETURN(ExampleView view, View(split, index));
  return Example{.text = std::string(view.text),
                 .text_pair = std::string(view.text_pair),
                 .has_text_pair = view.has_text_pair,
                 .image = std::string(view.image),
                 .entry = std::string(view.entry),
                 .labels = std::move(view.labels),
                 .value = view.value,
                 .file = view.file,
                 .line = view.line};
}

absl::Status ExampleReader::VerifyDigest() const {
  Sha256 hash;
  hash.Update(state_->rows->view());
  hash.Update(state_->index->view());
  if (hash.HexDigest() == state_->manifest.digest) return absl::OkStatus();
  return DataLoss(state_->directory, "the content does not match the manifest's digest");
}

}  // namespace attune::examples
