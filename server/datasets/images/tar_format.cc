// TAR: ustar, pax and GNU archives, plain or packed with gzip or zstd; read from front to back.
#include <archive.h>

#include <memory>

#include "server/base/status_macros.h"
#include "server/datasets/formats/format.h"
#include "server/datasets/images/archive_reader.h"

namespace attune::datasets {
namespace {

constexpr size_t kFeedBytes = size_t{256} << 10;

class StreamFeed final : public ArchiveFeed {
 public:
  explicit StreamFeed(std::unique_ptr<ByteSource> source) : source_(std::move(source)), piece_(std::make_unique_for_overwrite<char[]>(kFeedBytes)) {}
  absl::StatusOr<std::string_view> Read() override {
    ATTUNE_ASSIGN_OR_RETURN(const size_t n, source_->Read(piece_.get(), kFeedBytes));
    return std::string_view(piece_.get(), n);
  }
  int64_t file_bytes() const override { return source_->file_bytes(); }

 private:
  const std::unique_ptr<ByteSource> source_;
  const std::unique_ptr<char[]> piece_;
};

const FormatRegistration kTar({v1::FILE_FORMAT_TAR, "TAR", {".tar", ".tgz", ".tzst"}, nullptr, &OpenTar});

}  // namespace

absl::StatusOr<std::unique_ptr<ArchiveReader>> OpenTar(const InputFile& file, const ArchiveLimits& limits) {
  ATTUNE_ASSIGN_OR_RETURN(auto source, OpenInput(file));
  return ArchiveReader::Open(file, limits, std::make_unique<StreamFeed>(std::move(source)),
                             &archive_read_support_format_tar, "tar");
}

}  // namespace attune::datasets
