// JPEG by libjpeg-turbo. The library reports errors by a jump: Open and ReadRows, which it leaves that way, hold plain data only.
#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>
// After jpeglib.h, whose types it uses.
#include <jerror.h>

#include "server/images/codecs/bytes.h"
#include "server/images/codecs/codec.h"
#include "server/images/codecs/exif.h"

namespace attune::images {
namespace {

constexpr int kMaxScans = 100;     // a progressive file of small size can ask for any number of passes over the whole image
constexpr int kMaxWarnings = 100;  // libjpeg repairs and goes on; an image with more slips than this is noise

bool IsJpeg(std::string_view bytes) { return bytes.substr(0, 3) == "\xFF\xD8\xFF"; }

bool IsFrame(uint32_t marker) { return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC; }

// The markers up to the frame header, which says the size.
absl::StatusOr<ImageInfo> ReadJpegInfo(std::string_view bytes) {
  ImageInfo info;
  size_t at = 2;
  while (at + 4 <= bytes.size()) {
    const uint32_t marker = ByteAt(&bytes[at + 1]);
    if (ByteAt(&bytes[at]) != 0xFF || marker == 0xFF || marker == 0) {  // fill bytes, or garbage that libjpeg skips too
      ++at;
      continue;
    }
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {  // without a length
      at += 2;
      continue;
    }
    if (marker == 0xD9 || marker == 0xDA) return Damaged(kJpegCodec, "no frame header before the first scan");
    const size_t length = BigEndian16(&bytes[at + 2]);
    if (length < 2) return Damaged(kJpegCodec, "a marker's length is under 2");
    if (at + 2 + length > bytes.size()) return Truncated(kJpegCodec);
    const std::string_view segment = bytes.substr(at + 4, length - 2);
    if (marker == 0xE1 && segment.substr(0, 6) == std::string_view("Exif\0\0", 6) && info.orientation == 1) info.orientation = ExifOrientation(segment);
    if (IsFrame(marker)) {
      if (segment.size() < 6) return Damaged(kJpegCodec, "its frame header is too short");
      info.height = static_cast<int>(BigEndian16(&segment[1]));
      info.width = static_cast<int>(BigEndian16(&segment[3]));
      info.channels = static_cast<int>(ByteAt(&segment[5]));
      return info;
    }
    at += 2 + length;
  }
  return Truncated(kJpegCodec);
}

// What a decompression needs. Plain data; ended by Reader.
struct State {
  jpeg_decompress_struct library;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
  bool ran_out;      // the bytes ended before the end marker
  bool data_lacked;  // an entropy-coded segment ended before its last block
};

State* StateOf(j_common_ptr library) { return static_cast<State*>(library->client_data); }

[[noreturn]] void Fail(j_common_ptr library) {
  State* state = StateOf(library);
  library->err->format_message(library, state->message);
  longjmp(state->jump, 1);
}

// Called for warnings (-1) and traces (0 and up), in place of printing them.
void OnMessage(j_common_ptr library, int level) {
  if (level >= 0) return;
  State* state = StateOf(library);
  if (library->err->msg_code == JWRN_JPEG_EOF) state->ran_out = true;
  if (library->err->msg_code == JWRN_HIT_MARKER) state->data_lacked = true;
  if (++library->err->num_warnings > kMaxWarnings) Fail(library);
}

void OnProgress(j_common_ptr library) {
  if (reinterpret_cast<j_decompress_ptr>(library)->input_scan_number <= kMaxScans) return;
  State* state = StateOf(library);
  std::snprintf(state->message, sizeof state->message, "it has more than %d scans", kMaxScans);
  longjmp(state->jump, 1);
}

// 1, 2, 4 or 8.
unsigned int Divisor(int shorter, int wanted) {
  unsigned int divisor = 8;
  while (divisor > 1 && (wanted <= 0 || (shorter + divisor - 1) / divisor < static_cast<unsigned int>(wanted))) divisor /= 2;
  return divisor;
}

bool Open(State* state, const char* bytes, size_t size, int shorter_side) {
  jpeg_decompress_struct* library = &state->library;
  library->err = jpeg_std_error(&state->errors);
  state->errors.error_exit = &Fail;
  state->errors.emit_message = &OnMessage;
  library->client_data = state;
  if (setjmp(state->jump)) return false;
  jpeg_create_decompress(library);
  state->progress.progress_monitor = &OnProgress;
  library->progress = &state->progress;
  jpeg_mem_src(library, reinterpret_cast<const unsigned char*>(bytes), size);
  jpeg_read_header(library, TRUE);
  const bool inks = library->jpeg_color_space == JCS_CMYK || library->jpeg_color_space == JCS_YCCK;
  library->out_color_space = inks ? JCS_CMYK : JCS_RGB;
  library->scale_num = 1;
  library->scale_denom = Divisor(static_cast<int>(std::min(library->image_width, library->image_height)), shorter_side);
  jpeg_calc_output_dimensions(library);
  return true;
}

// Adobe's files hold the inks inverted, and as other programs do, all are taken to be Adobe's.
void InksToRgb(const uint8_t* inks, int width, uint8_t* rgb) {
  for (int x = 0; x < width; ++x, inks += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - inks[c]) * inks[3] + 128;
      rgb[c] = static_cast<uint8_t>(std::max(0, inks[3] - ((product + (product >> 8)) >> 8)));
    }
  }
}

bool ReadRows(State* state, uint8_t* out) {
  jpeg_decompress_struct* library = &state->library;
  if (setjmp(state->jump)) return false;
  jpeg_start_decompress(library);
  const size_t row_bytes = size_t{3} * library->output_width;
  JSAMPARRAY inks = nullptr;
  if (library->out_color_space == JCS_CMYK) {
    inks = library->mem->alloc_sarray(reinterpret_cast<j_common_ptr>(library), JPOOL_IMAGE, 4 * library->output_width, 1);
  }
  while (library->output_scanline < library->output_height) {
    JSAMPROW row = out + row_bytes * library->output_scanline;
    jpeg_read_scanlines(library, inks != nullptr ? inks : &row, 1);
    if (inks != nullptr) InksToRgb(inks[0], static_cast<int>(library->output_width), row);
  }
  return true;
}

// Whether every coefficient of a progressive file has come in full: a file cut between two scans gives an image, but a coarse one.
bool AllScansCame(const jpeg_decompress_struct& library) {
  if (!library.progressive_mode || library.coef_bits == nullptr) return true;
  for (int component = 0; component < library.num_components; ++component) {
    for (int bits : library.coef_bits[component]) {
      if (bits != 0) return false;
    }
  }
  return true;
}

class Reader {
 public:
  Reader() = default;
  ~Reader() { jpeg_destroy_decompress(&state_.library); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  State* state() { return &state_; }

 private:
  State state_ = {};
};

absl::StatusOr<Image> DecodeJpeg(std::string_view bytes, const ImageInfo& info, int shorter_side) {
  Reader reader;
  State* state = reader.state();
  if (!Open(state, bytes.data(), bytes.size(), shorter_side)) return state->ran_out ? Truncated(kJpegCodec) : Damaged(kJpegCodec, state->message);
  if (static_cast<int>(state->library.image_width) != info.width || static_cast<int>(state->library.image_height) != info.height) {
    return Damaged(kJpegCodec, "it has two frame headers that disagree");
  }
  Image image(static_cast<int>(state->library.output_width), static_cast<int>(state->library.output_height));
  const bool read = ReadRows(state, image.pixels.data());
  if (state->ran_out && (!read || state->data_lacked || !AllScansCame(state->library))) return Truncated(kJpegCodec);
  if (!read) return Damaged(kJpegCodec, state->message);
  return image;
}

}  // namespace

const Codec kJpegCodec = {ImageFormat::kJpeg, "JPEG", &IsJpeg, &ReadJpegInfo, &DecodeJpeg};

}  // namespace attune::images
