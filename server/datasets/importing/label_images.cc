#include "server/datasets/importing/label_images.h"

#include <algorithm>
#include <set>
#include <utility>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"
#include "server/datasets/images/entry_name.h"
#include "server/datasets/images/folder_layout.h"
#include "server/datasets/importing/row_check.h"

namespace attune::datasets {
namespace {

FolderLayout LayoutOf(const FoundFile& file) {
  std::vector<std::string_view> paths;
  paths.reserve(file.images.size());
  for (const FoundImage& image : file.images) paths.push_back(image.path);
  return FolderLayout(paths);
}

class ByFolder {
 public:
  ByFolder(const ImportPlan& plan, RowTable& table) : plan_(plan), table_(table) {}

  absl::Status Label(FoundFile& file) {
    const FolderLayout layout = LayoutOf(file);
    for (FoundImage& image : file.images) {
      const FolderLayout::Meaning meaning = layout.Of(image.path);
      if (!meaning.class_name.empty() && !classes_.contains(meaning.class_name)) classes_.emplace(meaning.class_name);
      if (image.kept) ATTUNE_RETURN_IF_ERROR(LabelImage(file, meaning, image));
    }
    for (const std::string& folder : file.folders) {
      if (!folder.starts_with(layout.outer())) continue;
      // A class folder is one that images would lie in directly.
      const std::string inside = folder + "/x";  // the meaning points into it
      const FolderLayout::Meaning meaning = layout.Of(inside);
      if (meaning.class_name.empty() || meaning.is_deeper) continue;
      class_folders_.push_back({plan_.files[file.file].filename, folder + "/", std::string(meaning.class_name)});
    }
    return absl::OkStatus();
  }

  void NoteEmptyClasses() {
    for (const ClassFolder& folder : class_folders_) {
      if (!classes_.insert(folder.class_name).second) continue;  // one note is enough
      table_.issues.Note({v1::RowIssue::KIND_EMPTY_CLASS, "",
                          StrCat("the class folder ", Quoted(folder.class_name),
                                 " has no image in it, so the dataset lacks that class: add images, or remove the "
                                 "folder")},
                         {.filename = folder.filename, .entry = folder.entry});
    }
  }

 private:
  struct ClassFolder {
    std::string filename, entry, class_name;
  };

  absl::Status LabelImage(const FoundFile& file, const FolderLayout::Meaning& meaning, FoundImage& image) {
    const std::string& filename = plan_.files[file.file].filename;
    if (meaning.class_name.empty()) {
      const char* where = meaning.outside_splits
                              ? "the image is in none of the folders train, validation and test: move it into one"
                              : "the image is in no class folder: put it into one named after its class, or add a "
                                "manifest (metadata.csv with the columns file_name and label)";
      table_.issues.Add({v1::RowIssue::KIND_MISSING_LABEL, "", where}, {.filename = filename, .entry = image.path});
      return absl::OkStatus();
    }
    const absl::StatusOr<uint32_t> labels = table_.labels.Add(std::vector<std::string_view>{meaning.class_name});
    if (!labels.ok()) {
      return absl::InvalidArgumentError(
          StrCat("file ", Quoted(filename, 200), " has more than ", LabelTable::kMaxLabels,
                 " class folders, or one whose name is longer "
                 "than ",
                 LabelTable::kMaxLabelBytes, " bytes: sort the images into a folder for each class"));
    }
    image.labels = *labels;
    image.split = plan_.files[file.file].split ? plan_.files[file.file].split : meaning.split;
    image.labelled = true;
    return absl::OkStatus();
  }

  const ImportPlan& plan_;
  RowTable& table_;
  std::set<std::string, std::less<>> classes_;
  std::vector<ClassFolder> class_folders_;
};

// The image that a manifest's row means.
struct Target {
  FoundFile* file = nullptr;
  FoundImage* image = nullptr;
};

class ByManifest {
 public:
  ByManifest(const ImportPlan& plan, std::deque<FoundFile>& found, RowTable& table)
      : plan_(plan), found_(found), table_(table), checker_(plan.columns, plan.label_kind) {
    for (const FoundFile& file : found) layouts_.push_back(LayoutOf(file));
  }

  absl::Status Read(const FoundManifest& manifest, FoundFile* archive);
  void ReportUnlisted();
  std::optional<examples::LabelKind> kind() const { return checker_.kind(); }

 private:
  Target Find(const FoundManifest& manifest, FoundFile* archive, std::string_view path, bool& ambiguous);
  absl::Status Label(const CheckedRow& row, const Target& target, const std::string& place);
  RowFault Missing(std::string_view path, bool ambiguous) const;

  const ImportPlan& plan_;
  std::deque<FoundFile>& found_;
  RowTable& table_;
  RowChecker checker_;
  std::vector<FolderLayout> layouts_;  // by position in found_
};

Target InFile(FoundFile& file, std::string_view path) {
  const auto at = file.by_path.find(AbslView(path));
  return at == file.by_path.end() ? Target() : Target{&file, &file.images[at->second]};
}

Target ByManifest::Find(const FoundManifest& manifest, FoundFile* archive, std::string_view path, bool& ambiguous) {
  // Paths start from the manifest's folder, or from the archive's root.
  if (archive != nullptr) {
    const std::string_view folder = FolderOf(manifest.entry);
    const Target target = InFile(*archive, folder.empty() ? std::string(path) : StrCat(folder, "/", path));
    return target.image != nullptr ? target : InFile(*archive, path);
  }
  // A manifest of its own may leave out the folders around everything.
  Target found;
  for (size_t i = 0; i < found_.size(); ++i) {
    Target target = InFile(found_[i], path);
    if (target.image == nullptr) target = InFile(found_[i], layouts_[i].outer() + std::string(path));
    if (target.image == nullptr) continue;
    ambiguous |= found.image != nullptr;
    found = target;
  }
  return ambiguous ? Target() : found;
}

RowFault ByManifest::Missing(std::string_view path, bool ambiguous) const {
  if (ambiguous) {
    return {v1::RowIssue::KIND_MISSING_IMAGE, plan_.columns.text,
            StrCat(Quoted(path, 200), " is in more than one of the archives: put a manifest into each archive")};
  }
  std::string example;
  for (const FoundFile& file : found_) {
    if (file.is_archive && example.empty()) example = file.images.front().path;
  }
  return {v1::RowIssue::KIND_MISSING_IMAGE, plan_.columns.text,
          StrCat("there is no image ", Quoted(path, 200), " in the archive, but for example ", Quoted(example, 200),
                 ": write paths as they are there, or leave the row out")};
}

absl::Status ByManifest::Label(const CheckedRow& row, const Target& target, const std::string& place) {
  FoundImage& image = *target.image;
  if (checker_.kind() != examples::LabelKind::kRegression) {
    const absl::StatusOr<uint32_t> labels = table_.labels.Add(row.labels);
    if (!labels.ok()) return FieldError("label_column", StrCat(place, ": ", std::string(labels.status().message())));
    image.labels = *labels;
  }
  image.value = row.value;
  image.split = plan_.files[target.file->file].split ? plan_.files[target.file->file].split : row.split;
  if (!image.split) {
    const auto position = static_cast<size_t>(
        std::find_if(found_.begin(), found_.end(), [&](const FoundFile& file) { return &file == target.file; }) -
        found_.begin());
    image.split = layouts_[position].Of(image.path).split;
  }
  image.labelled = true;
  return absl::OkStatus();
}

absl::Status ByManifest::Read(const FoundManifest& manifest, FoundFile* archive) {
  const std::string name = manifest.entry.empty() ? manifest.filename : manifest.entry;
  ATTUNE_ASSIGN_OR_RETURN(const Format* format, FindFormat(v1::FILE_FORMAT_UNSPECIFIED, name));
  ATTUNE_ASSIGN_OR_RETURN(
      auto reader,
      format->open({.file = {.path = manifest.path, .filename = name, .max_unpacked_bytes = plan_.max_unpacked_bytes},
                    .columns = plan_.columns,
                    .max_row_bytes = plan_.max_row_bytes}));
  Row row;
  CheckedRow checked;
  while (true) {
    ATTUNE_ASSIGN_OR_RETURN(const bool got, reader->Next(row));
    if (!got) return absl::OkStatus();
    std::optional<RowFault> fault = checker_.Check(row, manifest.split, checked);
    Target target;
    if (!fault) {
      bool ambiguous = false;
      const EntryName path = JudgeEntryName(checked.text);
      if (!path.fault) target = Find(manifest, archive, path.path, ambiguous);
      if (target.image == nullptr) {
        fault = Missing(checked.text, ambiguous);
      } else if (target.image->labelled) {
        fault = RowFault{v1::RowIssue::KIND_DUPLICATE_ENTRY, plan_.columns.text,
                         StrCat("the image ", Quoted(checked.text, 200),
                                " has a row already, which is used: leave one of them out, or give several classes as "
                                "a list in one row")};
      }
    }
    if (fault) {
      ++table_.rows_read;
      table_.issues.Add(*fault, {.filename = manifest.filename, .line = row.line, .entry = manifest.entry});
    } else {
      ATTUNE_RETURN_IF_ERROR(Label(checked, target, StrCat(name, " line ", row.line)));
    }
  }
}

void ByManifest::ReportUnlisted() {
  for (const FoundFile& file : found_) {
    for (const FoundImage& image : file.images) {
      if (!image.kept || image.labelled) continue;
      table_.issues.Add({v1::RowIssue::KIND_NOT_IN_MANIFEST, "",
                         "the manifest has no usable row for the image: add one, or leave the image out"},
                        {.filename = plan_.files[file.file].filename, .entry = image.path});
    }
  }
}

absl::Status LabelByFolders(const ImportPlan& plan, std::deque<FoundFile>& found, RowTable& table) {
  table.kind = examples::LabelKind::kSingleLabel;
  if (plan.label_kind.value_or(table.kind) != table.kind) {
    return FieldError("label_kind",
                      "folders give each image one class: for several classes or numbers add a manifest "
                      "(metadata.jsonl with file_name and label)");
  }
  ByFolder by_folder(plan, table);
  for (FoundFile& file : found) {
    if (file.is_archive) ATTUNE_RETURN_IF_ERROR(by_folder.Label(file));
  }
  by_folder.NoteEmptyClasses();
  return absl::OkStatus();
}

}  // namespace

absl::Status LabelImages(const ImportPlan& plan, std::deque<FoundFile>& found, RowTable& table) {
  std::vector<FoundManifest> uploaded;
  for (const PlannedFile& file : plan.files) {
    if (file.format->holds_images()) continue;
    uploaded.push_back({.path = file.path, .filename = file.filename, .split = file.split});
  }
  const bool inside =
      std::any_of(found.begin(), found.end(), [](const FoundFile& file) { return !file.manifests.empty(); });
  if (uploaded.empty() && !inside) return LabelByFolders(plan, found, table);
  ByManifest by_manifest(plan, found, table);
  const auto read = [&](const FoundManifest& manifest, FoundFile* archive) {
    const absl::Status status = by_manifest.Read(manifest, archive);
    table.kind = by_manifest.kind().value_or(examples::LabelKind::kSingleLabel);
    return status;
  };
  for (FoundFile& file : found) {
    for (const FoundManifest& manifest : file.manifests) ATTUNE_RETURN_IF_ERROR(read(manifest, &file));
  }
  for (const FoundManifest& manifest : uploaded) ATTUNE_RETURN_IF_ERROR(read(manifest, nullptr));
  by_manifest.ReportUnlisted();
  return absl::OkStatus();
}

}  // namespace attune::datasets
