// Tar (also packed) and ZIP, the names of their entries, and the images in them: what DatasetService imports.
#include <vector>

#include "server/base/utf8.h"
#include "server/datasets/images/archive_reader.h"
#include "server/datasets/images/entry_name.h"
#include "server/datasets/images/folder_layout.h"
#include "server/datasets/images/image_check.h"
#include "tests/fuzz/driver/fuzz.h"

namespace attune::fuzz {
namespace {

// Small, so that inputs get there.
constexpr int64_t kMaxEntryBytes = 4096, kMaxUnpackedBytes = int64_t{1} << 20;
constexpr datasets::ArchiveLimits kLimits = {.max_entries = 64};
constexpr datasets::ImageLimits kImageLimits = {.max_image_bytes = kMaxEntryBytes, .max_pixels = 1 << 12};

void JudgeContent(const std::string& bytes) {
  const datasets::ImageVerdict verdict = CheckImage(bytes, kImageLimits);
  if (verdict.fault) {
    Require(!verdict.fault->message.empty() && !FirstInvalidUtf8(verdict.fault->message),
            "faults are for people, in UTF-8");
  } else {
    Require(verdict.facts.width > 0 && verdict.facts.height > 0, "an image that is accepted has a size");
  }
}

// False when the archive is at its end, or refused.
bool ReadEntry(datasets::ArchiveReader& reader, std::vector<std::string>& images) {
  datasets::ArchiveEntry entry;
  const auto got = reader.Next(entry);
  if (!got.ok()) RequireRefusal(got.status());
  if (!got.ok() || !*got) return false;
  const datasets::EntryName name = datasets::JudgeEntryName(entry.name);
  if (!name.fault && !name.ignored) {
    Require(!FirstInvalidUtf8(name.path), "names are UTF-8");
    Require(("/" + name.path + "/").find("/../") == std::string::npos && !name.path.starts_with('/'),
            "names stay inside of the archive");
    if (datasets::HasImageEnding(name.path)) images.push_back(name.path);
  }
  if (entry.type != datasets::ArchiveEntry::Type::kFile || name.ignored) return true;
  std::string bytes;
  const auto content = reader.Read(kMaxEntryBytes, bytes);
  if (!content.ok()) RequireRefusal(content.status());
  if (!content.ok()) return false;
  if (content->outcome != datasets::EntryContent::Outcome::kRead) return true;
  Require(static_cast<int64_t>(bytes.size()) <= kMaxEntryBytes, "entries are as long as they may be");
  if (datasets::StartsAsImage(bytes) || datasets::HasImageEnding(name.path)) JudgeContent(bytes);
  return true;
}

void ReadArchive(std::string_view content) {
  static MemoryFile file;
  const bool zip = content.find("PK\5\6") != std::string_view::npos;
  const datasets::InputFile input = {.path = file.Put(content),
                                     .filename = zip ? "photos.zip" : "photos.tar",
                                     .max_unpacked_bytes = kMaxUnpackedBytes};
  auto reader = zip ? datasets::OpenZip(input, kLimits) : datasets::OpenTar(input, kLimits);
  if (!reader.ok()) return RequireRefusal(reader.status());
  std::vector<std::string> images;
  while (ReadEntry(**reader, images)) {
  }
  const std::vector<std::string_view> views(images.begin(), images.end());
  const datasets::FolderLayout layout(views);
  for (const std::string_view image : views) (void)layout.Of(image);
}

}  // namespace
}  // namespace attune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attune::fuzz::ReadArchive(attune::fuzz::Input(data, size));
  return 0;
}
