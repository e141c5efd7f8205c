#include "server/datasets/images/folder_layout.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "server/base/str_cat.h"

namespace attune::datasets {
namespace {

// The topmost folder of `path`; empty when it lies in none.
std::string_view Top(std::string_view path) {
  const size_t slash = path.find('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view Below(std::string_view path) { return path.substr(Top(path).size() + 1); }

bool IsTwoDeep(std::string_view path) { return !Top(path).empty() && !Top(Below(path)).empty(); }

// Whether all images lie in one and the same folder that names no split, with folders of its own: as a class it would
// be the only one.
bool HaveOuterFolder(const std::vector<std::string_view>& images) {
  if (images.empty()) return false;
  const std::string_view top = Top(images[0]);
  if (ParseSplitName(top)) return false;
  return !top.empty() && std::any_of(images.begin(), images.end(), IsTwoDeep) &&
         std::all_of(images.begin(), images.end(), [&](std::string_view path) { return Top(path) == top; });
}

}  // namespace

std::optional<examples::Split> ParseSplitName(std::string_view name) {
  const std::string lower = absl::AsciiStrToLower(AbslView(name));
  if (lower == "train" || lower == "training") return examples::Split::kTrain;
  if (lower == "validation" || lower == "valid" || lower == "val" || lower == "dev")
    return examples::Split::kValidation;
  if (lower == "test") return examples::Split::kTest;
  return std::nullopt;
}

FolderLayout::FolderLayout(const std::vector<std::string_view>& images) {
  std::vector<std::string_view> paths = images;
  while (HaveOuterFolder(paths)) {
    StrAppend(&outer_, Top(paths[0]), "/");
    for (std::string_view& path : paths) path = Below(path);
  }
  const auto in_split = [](std::string_view path) { return ParseSplitName(Top(path)).has_value(); };
  has_splits_ = !paths.empty() && (std::all_of(paths.begin(), paths.end(), in_split) ||
                                   std::any_of(paths.begin(), paths.end(), [&](std::string_view path) {
                                     return in_split(path) && IsTwoDeep(path);
                                   }));
}

FolderLayout::Meaning FolderLayout::Of(std::string_view path) const {
  Meaning meaning;
  if (path.starts_with(outer_)) path.remove_prefix(outer_.size());
  if (has_splits_) {
    meaning.split = ParseSplitName(Top(path));
    meaning.outside_splits = !meaning.split.has_value();
    if (meaning.outside_splits) return meaning;
    path = Below(path);
  }
  meaning.class_name = Top(path);
  meaning.is_deeper = IsTwoDeep(path);
  return meaning;
}

}  // namespace attune::datasets
