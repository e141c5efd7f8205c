// gzip (RFC 1952) over zlib: members one after the other; zero padding after the last is allowed, as gzip itself does.
#include <zlib.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "server/base/status_macros.h"
#include "server/datasets/formats/byte_source.h"

namespace attune::datasets {
namespace {

constexpr size_t kPackedChunk = size_t{128} << 10;

class GzipSource final : public ByteSource {
 public:
  GzipSource(std::unique_ptr<ByteSource> packed, InputFile file)
      : packed_(std::move(packed)), file_(std::move(file)), input_(std::make_unique_for_overwrite<char[]>(kPackedChunk)) {}
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  // 16: with a gzip header and nothing else.
  bool Initialize() { return inflateInit2(&stream_, 15 + 16) == Z_OK; }

  int64_t file_bytes() const override { return packed_->file_bytes(); }

  absl::StatusOr<size_t> Read(char* out, size_t capacity) override {
    while (true) {
      if (stream_.avail_in == 0) {
        ATTUNE_ASSIGN_OR_RETURN(const size_t n, packed_->Read(input_.get(), kPackedChunk));
        stream_.next_in = reinterpret_cast<Bytef*>(input_.get());
        stream_.avail_in = static_cast<uInt>(n);
        if (n == 0 && between_members_) return size_t{0};
        if (n == 0) return CutShort(file_, "gzip");
      }
      if (between_members_ && !StartMember()) continue;
      ATTUNE_ASSIGN_OR_RETURN(const size_t produced, Inflate(out, capacity));
      if (produced > 0) return produced;
    }
  }

 private:
  // Skips padding; false when there is nothing but padding in memory.
  bool StartMember() {
    while (stream_.avail_in > 0 && *stream_.next_in == 0) {
      ++stream_.next_in;
      --stream_.avail_in;
    }
    if (stream_.avail_in == 0) return false;
    inflateReset(&stream_);
    between_members_ = false;
    return true;
  }

  absl::StatusOr<size_t> Inflate(char* out, size_t capacity) {
    const uInt room = static_cast<uInt>(std::min<size_t>(capacity, size_t{1} << 30));
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = room;
    const int result = inflate(&stream_, Z_NO_FLUSH);
    const size_t produced = room - stream_.avail_out;
    unpacked_bytes_ += static_cast<int64_t>(produced);
    ATTUNE_RETURN_IF_ERROR(CheckExpansion(file_, unpacked_bytes_, packed_->file_bytes()));
    if (result == Z_STREAM_END) {
      between_members_ = true;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return Corrupt(file_, "gzip", stream_.msg != nullptr ? stream_.msg : zError(result));
    }
    return produced;
  }

  const std::unique_ptr<ByteSource> packed_;
  const InputFile file_;
  const std::unique_ptr<char[]> input_;
  z_stream stream_{};
  bool between_members_ = false;
  int64_t unpacked_bytes_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> UnpackGzip(std::unique_ptr<ByteSource> packed, const InputFile& file) {
  auto source = std::make_unique<GzipSource>(std::move(packed), file);
  if (!source->Initialize()) return absl::ResourceExhaustedError("no memory to unpack gzip");
  return source;
}

}  // namespace attune::datasets
