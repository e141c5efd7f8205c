#include "server/datasets/formats/format.h"

#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {
namespace {

// Filled before main; read-only afterwards. Made on first use, because registrations run in any order.
std::map<int, Format>& Registry() {
  static auto& registry = *new std::map<int, Format>();
  return registry;
}

std::string Choices() {
  std::string out;
  for (const auto& [id, format] : Registry()) {
    for (const std::string& ending : format.endings) StrAppend(&out, out.empty() ? "" : ", ", ending);
  }
  return out;
}

}  // namespace

FormatRegistration::FormatRegistration(Format format) {
  const int id = format.id;
  Registry().emplace(id, std::move(format));
}

std::vector<const Format*> AllFormats() {
  std::vector<const Format*> all;
  for (const auto& [id, format] : Registry()) all.push_back(&format);
  return all;
}

absl::StatusOr<const Format*> FindFormat(v1::FileFormat id, std::string_view filename) {
  if (id != v1::FILE_FORMAT_UNSPECIFIED) {
    const auto found = Registry().find(id);
    if (found != Registry().end()) return &found->second;
    return absl::InvalidArgumentError(StrCat("format ", static_cast<int>(id),
                                             " is unknown to this server: leave format out to go by the file's name (",
                                             Choices(), ")"));
  }
  const std::string lower = absl::AsciiStrToLower(AbslView(filename));
  std::string_view name = lower;
  for (const std::string_view packing : {".gz", ".zst"}) {
    if (name.ends_with(packing)) {
      name.remove_suffix(packing.size());
      break;
    }
  }
  for (const auto& [number, format] : Registry()) {
    for (const std::string& ending : format.endings) {
      if (name.ends_with(ending)) return &format;
    }
  }
  return absl::InvalidArgumentError(StrCat("the name of file ", Quoted(filename, 200),
                                           " does not say its format: set format, or let the name end in one of ",
                                           Choices(), " (.gz or .zst may follow)"));
}

}  // namespace attune::datasets
