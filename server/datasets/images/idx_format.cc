// IDX: MNIST, Fashion-MNIST, EMNIST and others of their kind.
#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/format.h"
#include "server/datasets/formats/text.h"
#include "server/datasets/images/idx_reader.h"

namespace attune::datasets {
namespace {

constexpr uint32_t kImagesMagic = 0x00000803;  // unsigned bytes, three dimensions
constexpr uint32_t kLabelsMagic = 0x00000801;
constexpr uint32_t kMaxSide = 4096;

const FormatRegistration kIdx({v1::FILE_FORMAT_IDX, "IDX", {"idx3-ubyte", "idx1-ubyte"}, nullptr, nullptr});

absl::Status ReadExactly(ByteSource& source, const InputFile& file, char* out, size_t size) {
  while (size > 0) {
    ATTUNE_ASSIGN_OR_RETURN(const size_t n, source.Read(out, size));
    if (n == 0) {
      return absl::InvalidArgumentError(StrCat("file ", Quoted(file.filename, 200),
                                               " is cut short: it holds less than its first bytes say. Upload the "
                                               "original again"));
    }
    out += n;
    size -= n;
  }
  return absl::OkStatus();
}

absl::Status CheckAtEnd(ByteSource& source, const InputFile& file) {
  char byte = 0;
  ATTUNE_ASSIGN_OR_RETURN(const size_t n, source.Read(&byte, 1));
  if (n == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      StrCat("file ", Quoted(file.filename, 200), " holds more than its first bytes say: upload the original again"));
}

// The magic number and `N` sizes, big-endian.
template <size_t N>
absl::StatusOr<std::array<uint32_t, N>> ReadHeader(ByteSource& source, const InputFile& file, uint32_t magic) {
  std::array<unsigned char, 4 * (N + 1)> bytes{};
  ATTUNE_RETURN_IF_ERROR(ReadExactly(source, file, reinterpret_cast<char*>(bytes.data()), bytes.size()));
  const auto number = [&](size_t i) {
    return uint32_t{bytes[4 * i]} << 24 | uint32_t{bytes[4 * i + 1]} << 16 | uint32_t{bytes[4 * i + 2]} << 8 |
           uint32_t{bytes[4 * i + 3]};
  };
  if (number(0) != magic) {
    return absl::InvalidArgumentError(StrCat(
        "file ", Quoted(file.filename, 200), " is not an IDX file of ",
        magic == kImagesMagic ? "grey images (unsigned bytes, 3 dimensions)" : "labels (unsigned bytes, 1 dimension)",
        ": upload it under its real name, or upload the original again"));
  }
  std::array<uint32_t, N> sizes{};
  for (size_t i = 0; i < N; ++i) sizes[i] = number(i + 1);
  return sizes;
}

std::string Lower(std::string_view name) { return absl::AsciiStrToLower(AbslView(name)); }

}  // namespace

absl::StatusOr<std::unique_ptr<IdxReader>> IdxReader::Open(const InputFile& images, const InputFile& labels) {
  std::unique_ptr<IdxReader> reader(new IdxReader);
  reader->image_file_ = images;
  reader->label_file_ = labels;
  ATTUNE_ASSIGN_OR_RETURN(reader->images_, OpenInput(images));
  ATTUNE_ASSIGN_OR_RETURN(reader->labels_, OpenInput(labels));
  ATTUNE_RETURN_IF_ERROR(reader->ReadHeaders());
  return reader;
}

absl::Status IdxReader::ReadHeaders() {
  ATTUNE_ASSIGN_OR_RETURN(const auto sizes, ReadHeader<3>(*images_, image_file_, kImagesMagic));
  ATTUNE_ASSIGN_OR_RETURN(const auto label_count, ReadHeader<1>(*labels_, label_file_, kLabelsMagic));
  if (sizes[0] != label_count[0]) {
    return absl::InvalidArgumentError(StrCat("file ", Quoted(image_file_.filename, 200), " has ", sizes[0],
                                             " images and ", Quoted(label_file_.filename, 200), " has ", label_count[0],
                                             " labels: upload the two that belong together"));
  }
  const auto [height, width] = std::pair(sizes[1], sizes[2]);
  if (height == 0 || width == 0 || height > kMaxSide || width > kMaxSide) {
    return absl::InvalidArgumentError(StrCat("the images in file ", Quoted(image_file_.filename, 200), " have ", width,
                                             " x ", height, " pixels, and each side has 1 to ", kMaxSide,
                                             ": upload the original again"));
  }
  left_ = sizes[0];
  width_ = static_cast<int32_t>(width);
  height_ = static_cast<int32_t>(height);
  pgm_header_ = StrCat("P5\n", width, " ", height, "\n255\n");
  return absl::OkStatus();
}

absl::StatusOr<bool> IdxReader::Next(IdxImage& image) {
  if (left_ == 0) {
    ATTUNE_RETURN_IF_ERROR(CheckAtEnd(*images_, image_file_));
    ATTUNE_RETURN_IF_ERROR(CheckAtEnd(*labels_, label_file_));
    return false;
  }
  --left_;
  const size_t pixels = static_cast<size_t>(width_) * static_cast<size_t>(height_);
  image.bytes = pgm_header_;
  image.bytes.resize(pgm_header_.size() + pixels);
  ATTUNE_RETURN_IF_ERROR(ReadExactly(*images_, image_file_, image.bytes.data() + pgm_header_.size(), pixels));
  ATTUNE_RETURN_IF_ERROR(ReadExactly(*labels_, label_file_, reinterpret_cast<char*>(&image.label), 1));
  return true;
}

bool HoldsIdxImages(std::string_view filename) { return absl::StrContains(Lower(filename), "idx3-ubyte"); }

absl::StatusOr<size_t> FindIdxLabels(const std::vector<std::string>& filenames, size_t images) {
  // Packing does not count: one of the pair may be unpacked.
  const auto stem = [](std::string_view name) {
    const std::string lower = Lower(name);
    return lower.substr(0, lower.find("-ubyte"));
  };
  std::string wanted = stem(filenames[images]);
  if (const size_t at = wanted.rfind("images"); at != std::string::npos) wanted.replace(at, 6, "labels");
  if (const size_t at = wanted.rfind("idx3"); at != std::string::npos) wanted.replace(at, 4, "idx1");
  for (size_t i = 0; i < filenames.size(); ++i) {
    if (i != images && stem(filenames[i]) == wanted) return i;
  }
  return absl::InvalidArgumentError(StrCat("file ", Quoted(filenames[images], 200), " has no labels: upload ",
                                           Quoted(wanted + "-ubyte", 200), " (or .gz) together with it"));
}

std::optional<examples::Split> SplitOfIdx(std::string_view filename) {
  const std::string lower = Lower(filename);
  if (absl::StrContains(lower, "t10k") || absl::StrContains(lower, "test")) return examples::Split::kTest;
  if (absl::StrContains(lower, "valid")) return examples::Split::kValidation;
  if (absl::StrContains(lower, "train")) return examples::Split::kTrain;
  return std::nullopt;
}

}  // namespace attune::datasets
