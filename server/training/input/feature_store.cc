#include "server/training/input/feature_store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include <nlohmann/json.hpp>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::training {
namespace {

constexpr char kMagic[] = "ATTNFEA1";  // 8 bytes
constexpr size_t kTailBytes = sizeof(uint64_t) + 8;
constexpr char kEnding[] = ".features";
constexpr char kTemporaryEnding[] = ".tmp";

bool EndsWith(std::string_view name, std::string_view ending) {
  return name.size() >= ending.size() && name.substr(name.size() - ending.size()) == ending;
}

int64_t ProductOf(const std::vector<int64_t>& shape) {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

absl::Status Damaged(const std::string& what) { return absl::DataLossError(StrCat("feature table: ", what)); }

// A temporary file is {name}.{pid}.tmp; it is rubbish when that process is gone.
bool IsAbandoned(const std::string& name) {
  const size_t end = name.size() - std::strlen(kTemporaryEnding);
  const size_t dot = name.rfind('.', end - 1);
  if (dot == std::string::npos) return true;
  const long pid = std::strtol(name.c_str() + dot + 1, nullptr, 10);
  return pid <= 0 || (kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH);
}

}  // namespace

absl::Status FeatureTable::ReadFooter(std::string_view file) {
  if (file.size() < kTailBytes || file.substr(file.size() - 8) != std::string_view(kMagic, 8)) return Damaged("not whole");
  uint64_t footer_bytes = 0;
  std::memcpy(&footer_bytes, file.data() + file.size() - kTailBytes, sizeof(footer_bytes));
  if (footer_bytes > file.size() - kTailBytes) return Damaged("the footer is longer than the file");
  const std::string_view values = file.substr(0, file.size() - kTailBytes - footer_bytes);
  const nlohmann::json footer = nlohmann::json::parse(file.substr(values.size(), footer_bytes), nullptr, /*allow_exceptions=*/false);
  try {
    key_ = footer.at("key").get<std::string>();
    rows_ = footer.at("rows").get<int64_t>();
    shape_ = footer.at("shape").get<std::vector<int64_t>>();
    if (Sha256Hex(values) != footer.at("sha256").get<std::string>()) return Damaged("the digest differs");
  } catch (const nlohmann::json::exception& error) {
    return Damaged(error.what());
  }
  row_values_ = ProductOf(shape_);
  if (rows_ < 0 || row_values_ < 1 || static_cast<uint64_t>(rows_ * row_values_) * sizeof(float) != values.size()) return Damaged("sizes do not agree");
  values_ = reinterpret_cast<const float*>(values.data());
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const FeatureTable>> FeatureTable::Open(const std::string& path) {
  auto table = std::shared_ptr<FeatureTable>(new FeatureTable);
  ATTUNE_ASSIGN_OR_RETURN(table->mapping_, MappedFile::Open(path));
  ATTUNE_RETURN_IF_ERROR(table->ReadFooter(table->mapping_->view()));
  return std::shared_ptr<const FeatureTable>(std::move(table));
}

FeatureWriter::FeatureWriter(Files& files, std::string path, std::string key, int64_t rows, std::vector<int64_t> shape)
    : files_(files), path_(std::move(path)), temporary_(StrCat(path_, ".", getpid(), kTemporaryEnding)), key_(std::move(key)), rows_(rows), shape_(std::move(shape)),
      row_values_(ProductOf(shape_)) {}

FeatureWriter::~FeatureWriter() {
  if (file_ == nullptr) return;
  file_->Close().IgnoreError();
  files_.Remove(temporary_).IgnoreError();  // whoever makes room later finds it otherwise
}

absl::Status FeatureWriter::Append(const float* values, int64_t rows) {
  if (written_ + rows > rows_) return absl::FailedPreconditionError(StrCat("a feature table of ", rows_, " rows was given more"));
  const std::string_view bytes(reinterpret_cast<const char*>(values), static_cast<size_t>(rows * row_values_) * sizeof(float));
  ATTUNE_RETURN_IF_ERROR(file_->Append(bytes));
  digest_.Update(bytes);
  written_ += rows;
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const FeatureTable>> FeatureWriter::Finish() {
  if (written_ != rows_) return absl::FailedPreconditionError(StrCat("a feature table of ", rows_, " rows was given ", written_));
  const nlohmann::ordered_json json = {{"key", key_}, {"rows", rows_}, {"shape", shape_}, {"sha256", digest_.HexDigest()}};
  const std::string footer = json.dump();
  const uint64_t footer_bytes = footer.size();
  std::string tail(reinterpret_cast<const char*>(&footer_bytes), sizeof(footer_bytes));
  tail.append(kMagic, 8);
  ATTUNE_RETURN_IF_ERROR(file_->Append(footer));
  ATTUNE_RETURN_IF_ERROR(file_->Append(tail));
  ATTUNE_RETURN_IF_ERROR(file_->Sync());
  ATTUNE_RETURN_IF_ERROR(file_->Close());
  ATTUNE_RETURN_IF_ERROR(files_.Rename(temporary_, path_));
  file_.reset();
  return FeatureTable::Open(path_);
}

FeatureStore::FeatureStore(Files& files, std::string directory, int64_t max_bytes) : files_(files), directory_(std::move(directory)), max_bytes_(max_bytes) {}

std::string FeatureStore::PathOf(const std::string& key) const { return StrCat(directory_, "/", Sha256Hex(key), kEnding); }

std::shared_ptr<const FeatureTable> FeatureStore::Find(const std::string& key) {
  const std::string path = PathOf(key);
  if (!FileExists(path)) return nullptr;
  absl::StatusOr<std::shared_ptr<const FeatureTable>> table = FeatureTable::Open(path);
  if (!table.ok() || (*table)->key() != key) {
    files_.Remove(path).IgnoreError();  // the next writer replaces it
    return nullptr;
  }
  // Now, for which the right to write is enough: a table may be another user's, of before. Where it fails, an old time only makes it go sooner.
  utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
  return *std::move(table);
}

absl::Status FeatureStore::MakeRoom(int64_t bytes) {
  struct Table {
    std::filesystem::file_time_type used;
    std::string path;
    int64_t bytes = 0;
  };
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory_));
  std::vector<Table> tables;
  int64_t total = bytes;
  for (const std::string& name : names) {
    const std::string path = StrCat(directory_, "/", name);
    if (EndsWith(name, kTemporaryEnding) && IsAbandoned(name)) {
      ATTUNE_RETURN_IF_ERROR(files_.Remove(path));
      continue;
    }
    std::error_code gone;  // another process may have evicted it meanwhile
    const auto used = std::filesystem::last_write_time(path, gone);
    const absl::StatusOr<int64_t> size = FileSize(path);
    if (gone || !size.ok()) continue;
    total += *size;
    if (EndsWith(name, kEnding)) tables.push_back({used, path, *size});
  }
  std::sort(tables.begin(), tables.end(), [](const Table& a, const Table& b) { return a.used < b.used; });
  for (const Table& table : tables) {
    if (total <= max_bytes_) break;
    ATTUNE_RETURN_IF_ERROR(files_.Remove(table.path));
    total -= table.bytes;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FeatureWriter>> FeatureStore::Create(const std::string& key, int64_t rows, const std::vector<int64_t>& shape) {
  const int64_t bytes = rows * ProductOf(shape) * static_cast<int64_t>(sizeof(float)) + static_cast<int64_t>(key.size()) + 512;
  if (bytes > max_bytes_) return std::unique_ptr<FeatureWriter>();
  ATTUNE_RETURN_IF_ERROR(files_.CreateDirectories(directory_));
  ATTUNE_RETURN_IF_ERROR(MakeRoom(bytes));
  std::unique_ptr<FeatureWriter> writer(new FeatureWriter(files_, PathOf(key), key, rows, shape));
  ATTUNE_ASSIGN_OR_RETURN(writer->file_, files_.Create(writer->temporary_));
  return writer;
}

}  // namespace attune::training
