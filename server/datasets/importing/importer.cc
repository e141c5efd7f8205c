#include "server/datasets/importing/importer.h"

#include <algorithm>
#include <map>
#include <vector>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"
#include "server/datasets/importing/image_statistics.h"
#include "server/datasets/importing/length_counter.h"
#include "server/datasets/importing/read_images.h"
#include "server/datasets/importing/resolve_rows.h"

namespace attune::datasets {
namespace {

using examples::LabelKind;
using examples::Split;

class Import {
 public:
  Import(const ImportPlan& plan, Files& files, std::string scratch, std::string directory, v1::Dataset& dataset)
      : plan_(plan),
        files_(files),
        scratch_(scratch),
        spill_path_(scratch + "/spill.bin"),
        directory_(std::move(directory)),
        dataset_(dataset) {}

  absl::Status Run(const ReadProgress& progress);

 private:
  // Issues that only the settled splits show; their places are in the spill file.
  absl::Status ListLateIssues();
  void FillReport();
  v1::LengthHistogram Lengths() const;
  absl::Status CheckBadRows() const;
  absl::Status CheckUsable() const;
  absl::Status Write();
  RowFault Unseen(const RowEntry& row) const;
  // What is said of rows that repeat an earlier one and stay; `first` shows that one.
  RowFault AcrossSplits(const std::string& first) const;
  RowFault Conflict(uint32_t row, uint32_t other, const std::string& first) const;
  std::string Labels(uint32_t row) const;
  bool is_images() const { return plan_.modality == examples::Modality::kImage; }

  const ImportPlan& plan_;
  Files& files_;
  const std::string scratch_;
  const std::string spill_path_;
  const std::string directory_;
  v1::Dataset& dataset_;
  RowTable table_;
  Resolution resolution_;
};

absl::Status Import::Run(const ReadProgress& progress) {
  ATTUNE_ASSIGN_OR_RETURN(auto spill, SpillWriter::Create(files_, spill_path_));
  absl::Status read = is_images() ? ReadImages(plan_, files_, scratch_, *spill, progress, table_)
                                  : ReadRows(plan_, *spill, progress, table_);
  if (read.ok()) {
    resolution_ = ResolveRows(plan_.shares, table_);
    read = ListLateIssues();
  }
  FillReport();
  ATTUNE_RETURN_IF_ERROR(read);
  ATTUNE_RETURN_IF_ERROR(CheckBadRows());
  ATTUNE_RETURN_IF_ERROR(CheckUsable());
  return Write();
}

RowFault Import::Unseen(const RowEntry& row) const {
  std::string names;
  for (const uint32_t label : table_.labels.combinations()[row.labels]) {
    const std::string& name = table_.labels.names()[label];
    const auto& classes = resolution_.classes;
    if (std::find(classes.begin(), classes.end(), name) == classes.end())
      StrAppend(&names, names.empty() ? "" : ", ", Quoted(name));
  }
  return {
      v1::RowIssue::KIND_UNSEEN_LABEL, is_images() ? "" : plan_.columns.label,
      StrCat("the label ", names, " does not occur in training: correct it, give training rows with it, or leave the ",
             is_images() ? "image" : "row", " out")};
}

RowFault Import::AcrossSplits(const std::string& first) const {
  if (is_images()) {
    return {v1::RowIssue::KIND_DUPLICATE_ACROSS_SPLITS, "",
            StrCat("the image also occurs in another split, as ", Quoted(first, 200),
                   ", so figures on it are too good: leave it out of one of them (the image is kept)")};
  }
  return {
      v1::RowIssue::KIND_DUPLICATE_ACROSS_SPLITS, plan_.columns.text,
      "the text also occurs in another split, so figures on this row are too good: leave it out of one of them (the "
      "row is kept)"};
}

std::string Import::Labels(uint32_t row) const {
  if (table_.kind == LabelKind::kRegression) return StrCat(table_.images[row].value);
  std::string names;
  for (const uint32_t label : table_.labels.combinations()[table_.rows[row].labels])
    StrAppend(&names, names.empty() ? "" : ", ", Quoted(table_.labels.names()[label]));
  return names.empty() ? "no class" : names;
}

RowFault Import::Conflict(uint32_t row, uint32_t other, const std::string& first) const {
  return {v1::RowIssue::KIND_CONFLICTING_LABELS, "",
          StrCat("the image has the label ", Labels(row), " here and ", Labels(other), " as ", Quoted(first, 200),
                 ": leave the wrong one out (both are kept)")};
}

absl::Status Import::ListLateIssues() {
  using Repeats = std::vector<Resolution::Repeat>;
  const Repeats none;
  const bool room = table_.issues.has_room();
  const Repeats& across = room ? resolution_.across_splits : none;
  const Repeats& conflicts = room ? resolution_.conflicts : none;
  if (resolution_.unseen == 0 && across.empty() && conflicts.empty()) return absl::OkStatus();
  // Places are in the spill file only.
  struct Place {
    uint32_t file = 0;
    int64_t line = 0;
    std::string entry;
  };
  std::map<uint32_t, Place> places;
  for (const Repeats* repeats : {&across, &conflicts}) {
    for (const auto& [row, first] : *repeats) places[row], places[first];
  }
  ATTUNE_ASSIGN_OR_RETURN(auto spill, SpillReader::Open(spill_path_));
  SpilledRow spilled;
  for (uint32_t i = 0; i < table_.rows.size(); ++i) {
    ATTUNE_RETURN_IF_ERROR(spill->Find(table_.rows[i].row, spilled));
    if (table_.rows[i].left_out) {
      table_.issues.Add(Unseen(table_.rows[i]),
                        {.filename = plan_.files[spilled.file].filename, .line = spilled.line, .entry = spilled.entry});
    }
    if (const auto wanted = places.find(i); wanted != places.end())
      wanted->second = {spilled.file, spilled.line, std::string(spilled.entry)};
  }
  const auto note = [&](const RowFault& fault, uint32_t row) {
    const Place& place = places[row];
    table_.issues.Note(fault, {.filename = plan_.files[place.file].filename, .line = place.line, .entry = place.entry});
  };
  for (const auto& [row, first] : conflicts) note(Conflict(row, first, places[first].entry), row);
  for (const auto& [row, first] : across) note(AcrossSplits(places[first].entry), row);
  return absl::OkStatus();
}

void Import::FillReport() {
  v1::ImportReport& report = *dataset_.mutable_report();
  report.set_rows_read(table_.rows_read);
  table_.issues.WriteTo(report);
  report.set_duplicates_across_splits(resolution_.duplicates_across_splits);
  report.set_duplicates_within_split(resolution_.duplicates_within_split);
  int64_t used = 0;
  for (const Split split : {Split::kTrain, Split::kValidation, Split::kTest}) {
    const auto index = static_cast<size_t>(split);
    v1::SplitReport& out = *report.add_splits();
    out.set_split(ToProto(split));
    out.set_rows(resolution_.rows[index]);
    used += resolution_.rows[index];
    for (size_t c = 0; c < resolution_.classes.size(); ++c) {
      const int64_t count = resolution_.class_counts[index][c];
      if (count > 0) (*out.mutable_label_counts())[resolution_.classes[c]] = count;
    }
  }
  report.set_rows_used(used);
  if (is_images()) {
    *report.mutable_images() = ReportImages(table_);
    report.mutable_images()->set_conflicting_labels(resolution_.conflicting_labels);
  } else {
    *report.mutable_lengths() = Lengths();
  }
  dataset_.set_label_kind(ToProto(table_.kind));
  dataset_.clear_labels();
  for (const std::string& name : resolution_.classes) dataset_.add_labels(name);
  dataset_.set_has_text_pair(table_.has_text_pair);
}

v1::LengthHistogram Import::Lengths() const {
  LengthCounter lengths;
  for (const RowEntry& row : table_.rows) {
    if (!row.left_out && row.length >= 0) lengths.Add(row.length);
  }
  return lengths.ToProto(plan_.tokenizer != nullptr ? v1::LengthHistogram::UNIT_TOKENS
                                                    : v1::LengthHistogram::UNIT_WORDS);
}

absl::Status Import::CheckBadRows() const {
  const int64_t bad = table_.issues.bad_rows();
  if (plan_.max_bad_rows < 0 || bad <= plan_.max_bad_rows) return absl::OkStatus();
  return absl::InvalidArgumentError(
      StrCat(bad, " of ", table_.rows_read, bad == 1 ? " rows is bad (" : " rows are bad (", table_.issues.Summary(),
             ") and max_bad_rows is ", plan_.max_bad_rows, "; first: ", Describe(table_.issues.issues().front())));
}

absl::Status Import::CheckUsable() const {
  if (resolution_.rows[static_cast<size_t>(Split::kTrain)] == 0) {
    return absl::InvalidArgumentError(StrCat("no usable row is in training (", table_.rows_read, " rows read, ",
                                             table_.issues.bad_rows(),
                                             " bad): give a file or rows with the split train"));
  }
  if (table_.kind == LabelKind::kMultiLabel && resolution_.classes.empty()) {
    return FieldError("label_column", StrCat("no row has a label in column ", Quoted(plan_.columns.label),
                                             ": set label_column to the column with the classes"));
  }
  if (table_.kind == LabelKind::kSingleLabel && resolution_.classes.size() == 1) {
    if (is_images()) {
      return FieldError("files", StrCat("all training images have the same label, ", Quoted(resolution_.classes[0]),
                                        ", and a classifier needs at least two classes: give each class a folder, or "
                                        "a manifest with their labels"));
    }
    return FieldError("label_column", StrCat("all training rows have the same label, ", Quoted(resolution_.classes[0]),
                                             ", and a classifier needs at least two classes: add rows of another "
                                             "class, or set label_column to another column"));
  }
  return absl::OkStatus();
}

absl::Status Import::Write() {
  ATTUNE_ASSIGN_OR_RETURN(auto spill, SpillReader::Open(spill_path_));
  ATTUNE_ASSIGN_OR_RETURN(auto writer, examples::ExampleWriter::Create(files_, directory_));
  SpilledRow spilled;
  examples::Example example;
  for (size_t i = 0; i < table_.rows.size(); ++i) {
    const RowEntry& row = table_.rows[i];
    if (row.left_out) continue;
    ATTUNE_RETURN_IF_ERROR(spill->Find(row.row, spilled));
    example.text.assign(spilled.text);
    example.text_pair.assign(spilled.text_pair);
    example.has_text_pair = spilled.has_text_pair;
    if (table_.kind != LabelKind::kRegression) example.labels = resolution_.class_indices[row.labels];
    example.entry.assign(spilled.entry);
    example.image.assign(spilled.image);
    example.value = is_images() ? table_.images[i].value : spilled.value;
    example.file = spilled.file;
    example.line = spilled.line;
    ATTUNE_RETURN_IF_ERROR(writer->Add(*row.split, example));
  }
  examples::DatasetManifest manifest;
  manifest.modality = plan_.modality;
  manifest.label_kind = table_.kind;
  manifest.labels = resolution_.classes;
  manifest.has_text_pair = table_.has_text_pair;
  for (const PlannedFile& file : plan_.files) manifest.filenames.push_back(file.filename);
  ATTUNE_RETURN_IF_ERROR(writer->Finish(manifest));
  dataset_.set_digest(manifest.digest);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunImport(const ImportPlan& plan, Files& files, const std::string& scratch, const std::string& directory,
                       const ReadProgress& progress, v1::Dataset& dataset) {
  return Import(plan, files, scratch, directory, dataset).Run(progress);
}

}  // namespace attune::datasets
