// What the name of an archive's entry may be, and what it says of the content. Names are never used as paths on a disk;
// they are judged because they are shown to people, looked up by manifests and taken for class names. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/datasets/formats/row.h"

namespace attune::datasets {

struct EntryName {
  std::string path;               // without "./", doubled and trailing slashes; empty for the root
  bool ignored = false;           // what systems leave behind: hidden files, __MACOSX, Thumbs.db, desktop.ini
  std::optional<RowFault> fault;  // KIND_NOT_UTF8, or KIND_UNSAFE_ENTRY: absolute, with "..", or too long
};

EntryName JudgeEntryName(std::string_view name);

// The last ending of `path` in lower case, with its dot; empty when there is none.
std::string EndingOf(std::string_view path);
// The part before the last slash, without it.
std::string_view FolderOf(std::string_view path);

// Whether a file is an image by its name; also of formats that are not read, so that their users hear of it.
bool HasImageEnding(std::string_view path);
// Whether it is one by its first bytes (JPEG, PNG, WebP), whatever it is called.
bool StartsAsImage(std::string_view bytes);
// Whether `path` ends as images of this format ("jpeg", "png", "webp", "bmp", "pnm") usually do.
bool EndingFits(std::string_view path, std::string_view format);
bool HasArchiveEnding(std::string_view path);
// metadata, manifest or labels with .jsonl, .csv or .tsv.
bool IsManifestName(std::string_view path);

}  // namespace attune::datasets
