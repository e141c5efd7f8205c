// PNG by libpng. The library reports errors by a jump: ReadHeader and ReadRows, which it leaves that way, hold plain data only.
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <png.h>

#include "server/images/codecs/bytes.h"
#include "server/images/codecs/codec.h"
#include "server/images/codecs/exif.h"

namespace attune::images {
namespace {

constexpr std::string_view kPngSignature("\x89PNG\r\n\x1A\n", 8);
constexpr size_t kIhdrEnd = 33;  // signature, length, type, 13 bytes, checksum

bool IsPng(std::string_view bytes) { return bytes.substr(0, kPngSignature.size()) == kPngSignature; }

int ChannelsOf(uint32_t color_type) {
  switch (color_type) {
    case PNG_COLOR_TYPE_GRAY: return 1;
    case PNG_COLOR_TYPE_GRAY_ALPHA: return 2;
    case PNG_COLOR_TYPE_RGB:
    case PNG_COLOR_TYPE_PALETTE: return 3;
    case PNG_COLOR_TYPE_RGB_ALPHA: return 4;
    default: return 0;
  }
}

// IHDR, and eXIf wherever it is: chunks are passed over by their lengths.
absl::StatusOr<ImageInfo> ReadPngInfo(std::string_view bytes) {
  if (bytes.size() < kIhdrEnd) return Truncated(kPngCodec);
  if (bytes.substr(12, 4) != "IHDR") return Damaged(kPngCodec, "it does not begin with a header");
  const uint32_t width = BigEndian32(&bytes[16]), height = BigEndian32(&bytes[20]);
  ImageInfo info;
  info.channels = ChannelsOf(ByteAt(&bytes[25]));
  if (width > PNG_UINT_31_MAX || height > PNG_UINT_31_MAX || info.channels == 0) return Damaged(kPngCodec, "its header makes no sense");
  info.width = static_cast<int>(width);
  info.height = static_cast<int>(height);
  for (size_t at = kIhdrEnd; at + 12 <= bytes.size();) {
    const size_t length = BigEndian32(&bytes[at]);
    if (length > bytes.size() - at - 12) break;
    if (bytes.substr(at + 4, 4) == "eXIf") {
      info.orientation = ExifOrientation(bytes.substr(at + 8, length));
      break;
    }
    at += 12 + length;
  }
  return info;
}

// Plain data; ended by PngReader.
struct PngState {
  png_structp png;
  png_infop info;
  const char* at;
  size_t left;
  bool ran_out;
  char message[128];
};

[[noreturn]] void OnPngError(png_structp png, png_const_charp text) {
  auto* state = static_cast<PngState*>(png_get_error_ptr(png));
  std::snprintf(state->message, sizeof state->message, "%s", text);
  png_longjmp(png, 1);
}

void OnPngWarning(png_structp, png_const_charp) {}

void GivePngBytes(png_structp png, png_bytep out, size_t wanted) {
  auto* state = static_cast<PngState*>(png_get_io_ptr(png));
  if (wanted > state->left) {
    state->ran_out = true;
    png_error(png, "out of bytes");
  }
  std::memcpy(out, state->at, wanted);
  state->at += wanted;
  state->left -= wanted;
}

// Everything becomes 8-bit RGB. Gamma and colour profiles are left alone, as other training pipelines do.
bool ReadHeader(PngState* state) {
  png_structp png = state->png;
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_read_fn(png, state, &GivePngBytes);
  png_set_user_limits(png, kMaxSide, kMaxSide);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);  // texts, profiles and the like are passed over, whatever length they claim
  png_read_info(png, state->info);
  png_set_expand(png);  // palettes, 1, 2 and 4 bits; transparency becomes alpha, which goes
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, state->info);
  return true;
}

bool ReadPngRows(PngState* state, uint8_t* out, size_t row_bytes, uint32_t height) {
  png_structp png = state->png;
  if (setjmp(png_jmpbuf(png))) return false;
  const int passes = png_get_interlace_type(png, state->info) == PNG_INTERLACE_NONE ? 1 : PNG_INTERLACE_ADAM7_PASSES;
  for (int pass = 0; pass < passes; ++pass) {
    for (uint32_t y = 0; y < height; ++y) png_read_row(png, out + row_bytes * y, nullptr);
  }
  return true;
}

class PngReader {
 public:
  explicit PngReader(std::string_view bytes) {
    state_.at = bytes.data();
    state_.left = bytes.size();
    state_.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state_, &OnPngError, &OnPngWarning);
    if (state_.png != nullptr) state_.info = png_create_info_struct(state_.png);
  }
  ~PngReader() { png_destroy_read_struct(&state_.png, &state_.info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  PngState* state() { return &state_; }
  absl::Status Fault() const { return state_.ran_out ? Truncated(kPngCodec) : Damaged(kPngCodec, state_.message); }

 private:
  PngState state_ = {};
};

absl::StatusOr<Image> DecodePng(std::string_view bytes, const ImageInfo& info, int) {
  PngReader reader(bytes);
  PngState* state = reader.state();
  if (state->info == nullptr) return absl::ResourceExhaustedError("no memory to decode a PNG file");
  if (!ReadHeader(state)) return reader.Fault();
  Image image(info.width, info.height);
  if (png_get_rowbytes(state->png, state->info) != image.row_bytes()) return Damaged(kPngCodec, "its rows are not of the length that its header says");
  if (!ReadPngRows(state, image.pixels.data(), image.row_bytes(), image.height)) return reader.Fault();
  return image;
}

}  // namespace

const Codec kPngCodec = {ImageFormat::kPng, "PNG", &IsPng, &ReadPngInfo, &DecodePng};

}  // namespace attune::images
