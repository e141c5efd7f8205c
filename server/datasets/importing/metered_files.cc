#include "server/datasets/importing/metered_files.h"

#include <algorithm>
#include <string_view>

#include "server/base/status_macros.h"

namespace attune::datasets {

class MeteredFiles::File final : public WritableFile {
 public:
  File(MeteredFiles& owner, bool kept, std::unique_ptr<WritableFile> file) : owner_(owner), kept_(kept), file_(std::move(file)) {}
  absl::Status Append(std::string_view data) override {
    ATTUNE_RETURN_IF_ERROR(owner_.Count(kept_, static_cast<int64_t>(data.size())));
    return file_->Append(data);
  }
  absl::Status Sync() override { return file_->Sync(); }
  absl::Status Close() override { return file_->Close(); }

 private:
  MeteredFiles& owner_;
  const bool kept_;
  const std::unique_ptr<WritableFile> file_;
};

absl::Status MeteredFiles::Check() const { return check_ ? check_(std::max(kept_.load(), scratch_.load())) : absl::OkStatus(); }

absl::StatusOr<std::unique_ptr<WritableFile>> MeteredFiles::Create(const std::string& path) { return Meter(path, files_.Create(path)); }

absl::StatusOr<std::unique_ptr<WritableFile>> MeteredFiles::OpenForAppend(const std::string& path) { return Meter(path, files_.OpenForAppend(path)); }

absl::StatusOr<std::unique_ptr<WritableFile>> MeteredFiles::CreateUncached(const std::string& path) { return Meter(path, files_.CreateUncached(path)); }

absl::StatusOr<std::unique_ptr<WritableFile>> MeteredFiles::Meter(const std::string& path, absl::StatusOr<std::unique_ptr<WritableFile>> file) {
  if (!file.ok()) return file.status();
  return std::make_unique<File>(*this, std::string_view(path).starts_with(directory_), *std::move(file));
}

absl::Status MeteredFiles::Count(bool kept, int64_t bytes) {
  std::atomic<int64_t>& counter = kept ? kept_ : scratch_;
  const int64_t before = counter.fetch_add(bytes);
  return before / kMeterStep == (before + bytes) / kMeterStep ? absl::OkStatus() : Check();
}

}  // namespace attune::datasets
