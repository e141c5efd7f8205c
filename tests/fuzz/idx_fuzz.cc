// A pair of IDX files, as MNIST has them. The input is the first file, with its length in two bytes before it, and then
// the second.
#include "server/datasets/images/idx_reader.h"
#include "server/images/image_info.h"
#include "tests/fuzz/driver/fuzz.h"

namespace attune::fuzz {
namespace {

void ReadPair(std::string_view images, std::string_view labels) {
  static MemoryFile image_file, label_file;
  constexpr int64_t kMaxUnpackedBytes = int64_t{1} << 20;
  auto reader = datasets::IdxReader::Open(
      {.path = image_file.Put(images), .filename = "train-images-idx3-ubyte", .max_unpacked_bytes = kMaxUnpackedBytes},
      {.path = label_file.Put(labels), .filename = "train-labels-idx1-ubyte", .max_unpacked_bytes = kMaxUnpackedBytes});
  if (!reader.ok()) return RequireRefusal(reader.status());
  datasets::IdxImage image;
  while (true) {
    const auto got = (*reader)->Next(image);
    if (!got.ok()) return RequireRefusal(got.status());
    if (!*got) return;
    const auto info = images::ReadImageInfo(image.bytes);
    Require(info.ok() && info->width == (*reader)->width() && info->height == (*reader)->height(),
            "images come out as files of the size that the header says");
  }
}

}  // namespace
}  // namespace attune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attune::fuzz::Pieces pieces(attune::fuzz::Input(data, size));
  const std::string_view images = pieces.TakeCounted();
  attune::fuzz::ReadPair(images, pieces.rest());
  return 0;
}
