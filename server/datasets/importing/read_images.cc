#include "server/datasets/importing/read_images.h"

#include <algorithm>
#include <set>
#include <utility>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"
#include "server/datasets/images/archive_reader.h"
#include "server/datasets/images/entry_name.h"
#include "server/datasets/images/idx_reader.h"
#include "server/datasets/images/image_check_queue.h"
#include "server/datasets/importing/found_images.h"
#include "server/datasets/importing/label_images.h"

namespace attune::datasets {
namespace {

constexpr int64_t kImagesBetweenProgress = 64;
constexpr int64_t kRowsAnImageTakes = 5;  // of memory: its place, name, hash and size, beside what a row has
constexpr int64_t kMaxManifestBytes = int64_t{64} << 20;

class ImagesOfFiles {
 public:
  ImagesOfFiles(const ImportPlan& plan, Files& files, std::string scratch, SpillWriter& spill,
                const ReadProgress& progress, RowTable& table)
      : plan_(plan),
        files_(files),
        scratch_(std::move(scratch)),
        spill_(spill),
        progress_(progress),
        table_(table),
        queue_(plan.image_limits) {
    for (const PlannedFile& file : plan.files) {
      total_bytes_ += file.size_bytes;
      idx_names_.push_back(file.format->id == v1::FILE_FORMAT_IDX ? file.filename : "");
    }
  }

  absl::Status ReadFile(uint32_t index);
  std::deque<FoundFile>& found() { return found_; }

 private:
  absl::Status ReadArchive(uint32_t index);
  absl::Status Visit(ArchiveReader& reader, const ArchiveEntry& entry);
  absl::Status VisitFile(ArchiveReader& reader, const std::string& path);
  absl::Status CopyManifest(ArchiveReader& reader, const std::string& path);
  absl::Status Put(std::string path, std::string bytes, std::optional<RowFault> fault);
  absl::Status TakeOldest();
  absl::Status ReadIdx(uint32_t images);
  absl::Status KeepIdxImage(const IdxImage& read, size_t number, std::optional<examples::Split> split);
  absl::Status Spill(FoundImage& image, std::string_view entry, std::string_view bytes);
  absl::Status CountRow();
  void Fault(RowFault fault, std::string_view entry) {
    table_.issues.Add(fault, {.filename = plan_.files[found_.back().file].filename, .entry = entry});
  }
  void Report(int64_t file_bytes) const {
    if (progress_)
      progress_(table_.rows_read, std::min(1.0, static_cast<double>(bytes_before_ + file_bytes) /
                                                    static_cast<double>(std::max<int64_t>(1, total_bytes_))));
  }
  InputFile Input(uint32_t index) const {
    const PlannedFile& file = plan_.files[index];
    return {.path = file.path, .filename = file.filename, .max_unpacked_bytes = plan_.max_unpacked_bytes, .max_expansion = kMaxImageExpansion};
  }

  const ImportPlan& plan_;
  Files& files_;
  const std::string scratch_;
  SpillWriter& spill_;
  const ReadProgress& progress_;
  RowTable& table_;
  ImageCheckQueue queue_;
  std::deque<FoundFile> found_;           // the last is the one that is being read
  std::vector<std::string> idx_names_;    // by file; empty where it is no IDX file
  std::set<std::string> manifest_paths_;  // of the archive that is being read
  int manifests_ = 0;
  int64_t total_bytes_ = 0;
  int64_t bytes_before_ = 0;
};

absl::Status ImagesOfFiles::ReadFile(uint32_t index) {
  const PlannedFile& file = plan_.files[index];
  if (file.format->open_archive != nullptr) {
    ATTUNE_RETURN_IF_ERROR(ReadArchive(index));
  } else if (file.format->holds_images() && HoldsIdxImages(file.filename)) {
    ATTUNE_RETURN_IF_ERROR(ReadIdx(index));
  }
  bytes_before_ += file.size_bytes;
  Report(0);
  return absl::OkStatus();
}

absl::Status ImagesOfFiles::ReadArchive(uint32_t index) {
  const PlannedFile& file = plan_.files[index];
  found_.emplace_back().file = index;
  manifest_paths_.clear();
  ATTUNE_ASSIGN_OR_RETURN(auto reader, file.format->open_archive(Input(index), plan_.archive_limits));
  ArchiveEntry entry;
  int64_t reported = table_.rows_read;
  while (true) {
    ATTUNE_ASSIGN_OR_RETURN(const bool got, reader->Next(entry));
    if (!got) break;
    ATTUNE_RETURN_IF_ERROR(Visit(*reader, entry));
    if (table_.rows_read < reported + kImagesBetweenProgress) continue;
    reported = table_.rows_read;
    Report(reader->file_bytes());
  }
  while (!queue_.empty()) ATTUNE_RETURN_IF_ERROR(TakeOldest());
  if (!found_.back().images.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      StrCat("file ", Quoted(file.filename, 200),
             " has no images: put JPEG, PNG, WebP, BMP or PGM files into it, in a folder for each class"));
}

absl::Status ImagesOfFiles::Visit(ArchiveReader& reader, const ArchiveEntry& entry) {
  EntryName name = JudgeEntryName(entry.name);
  const auto refuse = [&](RowFault fault) {
    ATTUNE_RETURN_IF_ERROR(CountRow());
    Fault(std::move(fault), entry.name);
    return absl::OkStatus();
  };
  const auto unsafe = [&](const char* what) {
    return refuse({v1::RowIssue::KIND_UNSAFE_ENTRY, "", StrCat("the entry is ", what)});
  };
  if (name.fault) return refuse(*std::move(name.fault));
  if (name.ignored || name.path.empty()) return absl::OkStatus();
  switch (entry.type) {
    case ArchiveEntry::Type::kDirectory:
      found_.back().folders.push_back(std::move(name.path));
      return absl::OkStatus();
    case ArchiveEntry::Type::kSymbolicLink:
      return unsafe("a symbolic link, and links are not followed: pack the file itself, for example with tar -h");
    case ArchiveEntry::Type::kHardLink:
      return unsafe("a hard link, and links are not followed: pack the file itself, with tar --hard-dereference");
    case ArchiveEntry::Type::kSpecial:
      return unsafe("a device, a pipe or a socket, not a file: leave it out of the archive");
    case ArchiveEntry::Type::kFile:
      break;
  }
  if (HasArchiveEnding(name.path)) {
    return refuse({v1::RowIssue::KIND_NESTED_ARCHIVE, "",
                   "the entry is an archive, and archives within archives are not opened: unpack it before packing, or "
                   "leave it out"});
  }
  return VisitFile(reader, name.path);
}

absl::Status ImagesOfFiles::VisitFile(ArchiveReader& reader, const std::string& path) {
  const bool is_manifest = IsManifestName(path);
  if (is_manifest ? !manifest_paths_.insert(path).second : found_.back().by_path.contains(AbslView(path))) {
    ATTUNE_RETURN_IF_ERROR(CountRow());
    Fault({v1::RowIssue::KIND_DUPLICATE_ENTRY, "",
           "the archive has an entry of this name already, which is used: rename one, or pack the archive again"},
          path);
    return absl::OkStatus();
  }
  if (is_manifest) return CopyManifest(reader, path);
  std::string bytes;
  ATTUNE_ASSIGN_OR_RETURN(const EntryContent content, reader.Read(plan_.image_limits.max_image_bytes, bytes));
  const bool whole = content.outcome == EntryContent::Outcome::kRead;
  if (!HasImageEnding(path) && !(whole && StartsAsImage(bytes))) {
    ++table_.other_files;
    return absl::OkStatus();
  }
  std::optional<RowFault> fault;
  if (content.outcome == EntryContent::Outcome::kTooLarge)
    fault = ImageHasTooManyBytes(plan_.image_limits.max_image_bytes);
  if (content.outcome == EntryContent::Outcome::kDamaged) {
    fault = RowFault{v1::RowIssue::KIND_UNREADABLE_IMAGE, "",
                     StrCat("the entry cannot be read (", content.detail, "): pack it again or leave it out")};
  }
  if (fault) bytes.clear();
  return Put(path, std::move(bytes), std::move(fault));
}

// Under a name of our own, because its reader wants a file.
absl::Status ImagesOfFiles::CopyManifest(ArchiveReader& reader, const std::string& path) {
  const std::string& filename = plan_.files[found_.back().file].filename;
  std::string bytes;
  ATTUNE_ASSIGN_OR_RETURN(const EntryContent content, reader.Read(kMaxManifestBytes, bytes));
  if (content.outcome != EntryContent::Outcome::kRead) {
    return absl::InvalidArgumentError(StrCat(
        "the manifest ", Quoted(path, 200), " in file ", Quoted(filename, 200),
        content.outcome == EntryContent::Outcome::kTooLarge
            ? StrCat(" has more than ", kMaxManifestBytes, " bytes: upload it as a file of its own")
            : StrCat(" cannot be read (", content.detail, "): pack it again, or upload it as a file of its own")));
  }
  const std::string copy = StrCat(scratch_, "/manifest-", manifests_++, EndingOf(path));
  ATTUNE_ASSIGN_OR_RETURN(auto file, files_.Create(copy));
  ATTUNE_RETURN_IF_ERROR(file->Append(bytes));
  ATTUNE_RETURN_IF_ERROR(file->Close());
  found_.back().manifests.push_back(
      {.path = copy, .filename = filename, .entry = path, .split = plan_.files[found_.back().file].split});
  return absl::OkStatus();
}

absl::Status ImagesOfFiles::CountRow() {
  const int64_t most = std::max<int64_t>(1, plan_.max_rows / kRowsAnImageTakes);
  if (++table_.rows_read <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(StrCat("the files have more than ", most, " images: import them as several datasets"));
}

absl::Status ImagesOfFiles::Put(std::string path, std::string bytes, std::optional<RowFault> fault) {
  ATTUNE_RETURN_IF_ERROR(CountRow());
  FoundFile& found = found_.back();
  const auto number = static_cast<uint32_t>(found.images.size());
  FoundImage& image = found.images.emplace_back();
  image.path = std::move(path);
  image.row = static_cast<uint32_t>(table_.rows_read - 1);
  found.by_path.emplace(AbslView(image.path), number);
  while (queue_.full()) ATTUNE_RETURN_IF_ERROR(TakeOldest());
  queue_.Put({.image = number, .bytes = std::move(bytes), .verdict = {.fault = std::move(fault)}});
  return absl::OkStatus();
}

absl::Status ImagesOfFiles::TakeOldest() {
  const ImageJob job = queue_.TakeOldest();
  FoundImage& image = found_.back().images[job.image];
  if (job.verdict.fault) {
    Fault(*job.verdict.fault, image.path);
    return absl::OkStatus();
  }
  image.facts = job.verdict.facts;
  if (!EndingFits(image.path, image.facts.format)) {
    ++table_.wrong_extensions;
    table_.issues.Note({v1::RowIssue::KIND_WRONG_EXTENSION, "",
                        StrCat("the image is ", image.facts.format,
                               " by its content, whatever its name says: rename "
                               "it when that is no mistake (the image is kept)")},
                       {.filename = plan_.files[found_.back().file].filename, .entry = image.path});
  }
  return Spill(image, image.path, job.bytes);
}

absl::Status ImagesOfFiles::Spill(FoundImage& image, std::string_view entry, std::string_view bytes) {
  image.kept = true;
  image.bytes = static_cast<uint32_t>(bytes.size());
  image.digest = DigestText(bytes, false, "");
  return spill_.Add({.row = image.row, .file = found_.back().file, .entry = entry, .image = bytes});
}

absl::Status ImagesOfFiles::ReadIdx(uint32_t images) {
  ATTUNE_ASSIGN_OR_RETURN(const size_t labels, FindIdxLabels(idx_names_, images));
  const PlannedFile& file = plan_.files[images];
  const auto& of_labels = plan_.files[labels].split;
  if (file.split && of_labels && file.split != of_labels) {
    return FieldError("files", StrCat("file ", Quoted(file.filename, 200),
                                      " and its labels are given different "
                                      "splits: give both the same"));
  }
  std::optional<examples::Split> split = file.split ? file.split : of_labels;
  if (!split) split = SplitOfIdx(file.filename);
  found_.push_back({.file = images, .is_archive = false});
  ATTUNE_ASSIGN_OR_RETURN(auto reader, IdxReader::Open(Input(images), Input(static_cast<uint32_t>(labels))));
  const int smaller = std::min(reader->width(), reader->height());
  if (smaller < plan_.image_limits.min_side_pixels) {
    return absl::InvalidArgumentError(StrCat("the images in file ", Quoted(file.filename, 200), " have ",
                                             reader->width(), " x ", reader->height(), " pixels, and each side needs ",
                                             plan_.image_limits.min_side_pixels, ": use larger originals"));
  }
  IdxImage read;
  for (size_t number = 0;; ++number) {
    ATTUNE_ASSIGN_OR_RETURN(const bool got, reader->Next(read));
    if (!got && number == 0)
      return absl::InvalidArgumentError(StrCat("file ", Quoted(file.filename, 200), " has no images: leave it out"));
    if (!got) return absl::OkStatus();
    ATTUNE_RETURN_IF_ERROR(CountRow());
    FoundImage& image = found_.back().images.emplace_back();
    image.facts = {reader->width(), reader->height(), "pnm"};
    ATTUNE_RETURN_IF_ERROR(KeepIdxImage(read, number, split));
    if (number % 4096 == 4095) Report(reader->file_bytes());
  }
}

absl::Status ImagesOfFiles::KeepIdxImage(const IdxImage& read, size_t number, std::optional<examples::Split> split) {
  const std::string entry = StrCat("image ", number);
  FoundImage& image = found_.back().images.back();
  image.row = static_cast<uint32_t>(table_.rows_read - 1);
  std::string name = StrCat(static_cast<int>(read.label));
  if (!plan_.class_names.empty()) {
    if (read.label >= plan_.class_names.size()) {
      return FieldError("class_names", StrCat("class_names has ", plan_.class_names.size(), " names, and ", entry,
                                              " of ", plan_.files[found_.back().file].filename, " has the label ", name,
                                              ": name every class, from 0 up"));
    }
    name = plan_.class_names[read.label];
  }
  ATTUNE_ASSIGN_OR_RETURN(image.labels, table_.labels.Add(std::vector<std::string_view>{name}));
  image.labelled = true;
  image.split = split;
  return Spill(image, entry, read.bytes);
}

// IDX labels that no file of images asked for.
absl::Status CheckLoneLabels(const ImportPlan& plan) {
  std::vector<std::string> names;
  for (const PlannedFile& file : plan.files)
    names.push_back(file.format->id == v1::FILE_FORMAT_IDX ? file.filename : "");
  std::set<size_t> used;
  for (size_t i = 0; i < names.size(); ++i) {
    if (!HoldsIdxImages(names[i])) continue;
    ATTUNE_ASSIGN_OR_RETURN(const size_t labels, FindIdxLabels(names, i));
    used.insert(labels);
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty() || HoldsIdxImages(names[i]) || used.count(i) > 0) continue;
    return absl::InvalidArgumentError(
        StrCat("file ", Quoted(names[i], 200), " has labels without images: upload the file with its images too"));
  }
  return absl::OkStatus();
}

void FillTable(const std::deque<FoundFile>& found, RowTable& table) {
  for (const FoundFile& file : found) {
    for (const FoundImage& image : file.images) {
      if (!image.kept || !image.labelled) continue;
      table.rows.push_back({.digest = image.digest, .row = image.row, .labels = image.labels, .split = image.split});
      table.images.push_back({.facts = image.facts, .bytes = image.bytes, .value = image.value});
    }
  }
}

}  // namespace

absl::Status ReadImages(const ImportPlan& plan, Files& files, const std::string& scratch, SpillWriter& spill,
                        const ReadProgress& progress, RowTable& table) {
  ATTUNE_RETURN_IF_ERROR(CheckLoneLabels(plan));
  ImagesOfFiles images(plan, files, scratch, spill, progress, table);
  for (size_t i = 0; i < plan.files.size(); ++i) ATTUNE_RETURN_IF_ERROR(images.ReadFile(static_cast<uint32_t>(i)));
  ATTUNE_RETURN_IF_ERROR(LabelImages(plan, images.found(), table));
  FillTable(images.found(), table);
  return spill.Finish();
}

}  // namespace attune::datasets
