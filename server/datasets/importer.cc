#include "server/datasets/importer.h"

#include <algorithm>
#include <vector>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"
#include "server/datasets/length_counter.h"
#include "server/datasets/resolve_rows.h"

namespace attune::datasets {
namespace {

using examples::LabelKind;
using examples::Split;

class Import {
 public:
  Import(const ImportPlan& plan, Files& files, std::string scratch, std::string directory, v1::Dataset& dataset)
      : plan_(plan),
        files_(files),
        spill_path_(scratch + "/spill.bin"),
        directory_(std::move(directory)),
        dataset_(dataset) {}

  absl::Status Run(const ReadProgress& progress);

 private:
  // Issues that only the settled splits show; their places are in the spill file.
  absl::Status ListLateIssues();
  void FillReport();
  absl::Status CheckBadRows() const;
  absl::Status CheckUsable() const;
  absl::Status Write();
  RowFault Unseen(const RowEntry& row) const;

  const ImportPlan& plan_;
  Files& files_;
  const std::string spill_path_;
  const std::string directory_;
  v1::Dataset& dataset_;
  RowTable table_;
  Resolution resolution_;
};

absl::Status Import::Run(const ReadProgress& progress) {
  ATTUNE_ASSIGN_OR_RETURN(auto spill, SpillWriter::Create(files_, spill_path_));
  absl::Status read = ReadRows(plan_, *spill, progress, table_);
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
  return {v1::RowIssue::KIND_UNSEEN_LABEL, plan_.columns.label,
          StrCat("the label ", names,
                 " does not occur in training: correct it, give training rows with it, or leave the row out")};
}

absl::Status Import::ListLateIssues() {
  if (resolution_.unseen == 0 && (resolution_.across_splits.empty() || !table_.issues.has_room()))
    return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(auto spill, SpillReader::Open(spill_path_));
  std::vector<std::pair<uint32_t, int64_t>> duplicates;  // file, line
  auto duplicate = resolution_.across_splits.begin();
  SpilledRow spilled;
  for (uint32_t i = 0; i < table_.rows.size(); ++i) {
    ATTUNE_RETURN_IF_ERROR(spill->Next(spilled));
    if (table_.rows[i].left_out)
      table_.issues.Add(Unseen(table_.rows[i]), plan_.files[spilled.file].filename, spilled.line);
    if (duplicate == resolution_.across_splits.end() || *duplicate != i) continue;
    duplicates.emplace_back(spilled.file, spilled.line);
    ++duplicate;
  }
  // After the faults, which matter more when the list is full.
  for (const auto& [file, line] : duplicates) {
    table_.issues.Note({v1::RowIssue::KIND_DUPLICATE_ACROSS_SPLITS, plan_.columns.text,
                        "the text also occurs in another split, so figures on this row are too good: leave it out of "
                        "one of them (the row is kept)"},
                       plan_.files[file].filename, line);
  }
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
  LengthCounter lengths;
  for (const RowEntry& row : table_.rows) {
    if (!row.left_out && row.length >= 0) lengths.Add(row.length);
  }
  *report.mutable_lengths() =
      lengths.ToProto(plan_.tokenizer != nullptr ? v1::LengthHistogram::UNIT_TOKENS : v1::LengthHistogram::UNIT_WORDS);
  dataset_.set_label_kind(ToProto(table_.kind));
  dataset_.clear_labels();
  for (const std::string& name : resolution_.classes) dataset_.add_labels(name);
  dataset_.set_has_text_pair(table_.has_text_pair);
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
  for (const RowEntry& row : table_.rows) {
    ATTUNE_RETURN_IF_ERROR(spill->Next(spilled));
    if (row.left_out) continue;
    example.text.assign(spilled.text);
    example.text_pair.assign(spilled.text_pair);
    example.has_text_pair = spilled.has_text_pair;
    if (table_.kind != LabelKind::kRegression) example.labels = resolution_.class_indices[row.labels];
    example.value = spilled.value;
    example.file = spilled.file;
    example.line = spilled.line;
    ATTUNE_RETURN_IF_ERROR(writer->Add(*row.split, example));
  }
  examples::DatasetManifest manifest;
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
