// zstd (RFC 8878) over libzstd: frames one after the other. The window is limited to libzstd's default of 128 MiB,
// which holds for every file made without --long=28 or more.
#include <zstd.h>
#include <zstd_errors.h>

#include <utility>
#include <vector>

#include "server/base/status_macros.h"
#include "server/datasets/formats/byte_source.h"

namespace attune::datasets {
namespace {

struct FreeStream {
  void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
};
using Stream = std::unique_ptr<ZSTD_DStream, FreeStream>;

class ZstdSource final : public ByteSource {
 public:
  ZstdSource(std::unique_ptr<ByteSource> packed, InputFile file, Stream stream)
      : packed_(std::move(packed)), file_(std::move(file)), stream_(std::move(stream)), input_(ZSTD_DStreamInSize()) {}

  int64_t file_bytes() const override { return packed_->file_bytes(); }

  absl::StatusOr<size_t> Read(char* out, size_t capacity) override {
    ZSTD_outBuffer output{out, capacity, 0};
    while (output.pos == 0) {
      // Output that did not fit is still inside the stream when the input is used up, and comes first.
      if (in_.pos == in_.size && !more_inside_) {
        ATTUNE_ASSIGN_OR_RETURN(const size_t n, packed_->Read(input_.data(), input_.size()));
        in_ = {input_.data(), n, 0};
        if (n == 0 && between_frames_) return size_t{0};
        if (n == 0) return CutShort(file_, "zstd");
      }
      const size_t result = ZSTD_decompressStream(stream_.get(), &output, &in_);
      if (ZSTD_isError(result) != 0) return Refused(result);
      between_frames_ = result == 0;
      more_inside_ = output.pos == output.size && result != 0;
    }
    unpacked_bytes_ += static_cast<int64_t>(output.pos);
    ATTUNE_RETURN_IF_ERROR(CheckExpansion(file_, unpacked_bytes_, packed_->file_bytes()));
    return output.pos;
  }

 private:
  absl::Status Refused(size_t result) const {
    if (ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge) {
      return Corrupt(file_, "zstd",
                     "the window is larger than 128 MiB; pack without --long, or with --long=27 at most");
    }
    return Corrupt(file_, "zstd", ZSTD_getErrorName(result));
  }

  const std::unique_ptr<ByteSource> packed_;
  const InputFile file_;
  const Stream stream_;
  std::vector<char> input_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool more_inside_ = false;
  bool between_frames_ = false;
  int64_t unpacked_bytes_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> UnpackZstd(std::unique_ptr<ByteSource> packed, const InputFile& file) {
  Stream stream(ZSTD_createDStream());
  if (stream == nullptr) return absl::ResourceExhaustedError("no memory to unpack zstd");
  return std::make_unique<ZstdSource>(std::move(packed), file, std::move(stream));
}

}  // namespace attune::datasets
