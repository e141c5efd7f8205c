#include "client/cpp/names.h"

#include <vector>

#include "absl/strings/str_split.h"
#include "server/base/str_cat.h"

namespace attune::client {
namespace {

constexpr std::string_view kJobs = "fineTuningJobs";

}  // namespace

std::string FullName(std::string_view text, std::string_view collection) {
  if (text.empty() || text.find('/') != std::string_view::npos) return std::string(text);
  return StrCat(collection, "/", text);
}

std::string CheckpointName(std::string_view text) {
  std::vector<std::string> parts = absl::StrSplit(AbslView(text), '/');
  if (parts.size() > 1 && parts[0] == kJobs) parts.erase(parts.begin());
  if (parts.size() == 1 && !parts[0].empty()) parts.push_back("best");
  if (parts.size() == 3 && parts[1] == "checkpoints") parts.erase(parts.begin() + 1);
  if (parts.size() != 2) return std::string(text);
  return StrCat(kJobs, "/", parts[0], "/checkpoints/", parts[1]);
}

std::string ShortName(std::string_view name) {
  std::vector<std::string> parts = absl::StrSplit(AbslView(name), '/');
  if (parts.size() == 4 && parts[2] == "checkpoints") return StrCat(parts[1], "/", parts[3]);
  return parts.back();
}

std::string IdFromPath(std::string_view path) {
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash != std::string_view::npos) path.remove_prefix(slash + 1);
  std::string id;
  for (char c : path) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool letter = c >= 'a' && c <= 'z';
    const bool digit = c >= '0' && c <= '9';
    if (id.empty() && !letter) continue;
    if (id.size() == 63) break;
    id.push_back(letter || digit ? c : '-');
  }
  while (!id.empty() && id.back() == '-') id.pop_back();
  return id;
}

}  // namespace attune::client
