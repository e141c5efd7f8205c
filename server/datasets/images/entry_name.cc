#include "server/datasets/images/entry_name.h"

#include <algorithm>
#include <initializer_list>

#include "absl/strings/ascii.h"
#include "server/base/str_cat.h"
#include "server/base/utf8.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {
namespace {

constexpr size_t kMaxPathBytes = 4096;

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> choices) {
  return std::find(choices.begin(), choices.end(), text) != choices.end();
}

bool IsLeftBehind(std::string_view part) {
  const std::string lower = absl::AsciiStrToLower(AbslView(part));
  return part.starts_with('.') || IsOneOf(lower, {"__macosx", "thumbs.db", "desktop.ini"});
}

RowFault Unsafe(const char* what) {
  return {v1::RowIssue::KIND_UNSAFE_ENTRY, "",
          StrCat("the name ", what,
                 ": pack from inside the folder with the images, for example with tar -C FOLDER -cf photos.tar .")};
}

}  // namespace

EntryName JudgeEntryName(std::string_view name) {
  EntryName judged;
  if (FirstInvalidUtf8(name)) {
    judged.fault = RowFault{v1::RowIssue::KIND_NOT_UTF8, "",
                            "the name is not UTF-8: rename the file, or pack the archive where names are UTF-8"};
    return judged;
  }
  if (name.size() > kMaxPathBytes) {
    judged.fault = Unsafe("is longer than 4096 bytes");
    return judged;
  }
  const bool drive = name.size() > 1 && name[1] == ':' && absl::ascii_isalpha(static_cast<unsigned char>(name[0])) &&
                     (name.size() == 2 || name[2] == '/' || name[2] == '\\');
  if (name.starts_with('/') || name.starts_with('\\') || drive) {
    judged.fault = Unsafe("is absolute");
    return judged;
  }
  while (!name.empty()) {
    const size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    name.remove_prefix(slash == std::string_view::npos ? name.size() : slash + 1);
    if (part == "..") {
      judged.fault = Unsafe("leads out of the archive with \"..\"");
      return judged;
    }
    if (part.empty() || part == ".") continue;
    judged.ignored |= IsLeftBehind(part);
    StrAppend(&judged.path, judged.path.empty() ? "" : "/", part);
  }
  return judged;
}

std::string EndingOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  const size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? "" : absl::AsciiStrToLower(AbslView(name.substr(dot)));
}

std::string_view FolderOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

bool HasImageEnding(std::string_view path) {
  return IsOneOf(EndingOf(path),
                 {".jpg",  ".jpeg", ".jpe",  ".jfif", ".png", ".webp", ".bmp", ".dib", ".pgm", ".gif", ".tif",
                  ".tiff", ".heic", ".heif", ".avif", ".ppm", ".pnm",  ".pbm", ".jp2", ".svg", ".ico"});
}

bool StartsAsImage(std::string_view bytes) {
  using namespace std::string_view_literals;
  return bytes.starts_with("\xff\xd8\xff"sv) || bytes.starts_with("\x89PNG\r\n\x1a\n"sv) ||
         (bytes.starts_with("RIFF"sv) && bytes.size() >= 12 && bytes.substr(8, 4) == "WEBP"sv);
}

bool EndingFits(std::string_view path, std::string_view format) {
  const std::string ending = EndingOf(path);
  if (format == "jpeg") return IsOneOf(ending, {".jpg", ".jpeg", ".jpe", ".jfif"});
  if (format == "bmp") return IsOneOf(ending, {".bmp", ".dib"});
  if (format == "pnm") return IsOneOf(ending, {".pgm", ".ppm", ".pnm"});
  return ending == StrCat(".", format);
}

bool HasArchiveEnding(std::string_view path) {
  return IsOneOf(EndingOf(path),
                 {".tar", ".tgz", ".tzst", ".gz", ".zst", ".zip", ".7z", ".rar", ".bz2", ".xz", ".tbz2", ".txz"});
}

bool IsManifestName(std::string_view path) {
  const std::string ending = EndingOf(path);
  if (!IsOneOf(ending, {".jsonl", ".csv", ".tsv"})) return false;
  const std::string_view folder = FolderOf(path);
  std::string_view stem = path.substr(folder.empty() ? 0 : folder.size() + 1);
  stem.remove_suffix(ending.size());
  return IsOneOf(absl::AsciiStrToLower(AbslView(stem)), {"metadata", "manifest", "labels"});
}

}  // namespace attune::datasets
