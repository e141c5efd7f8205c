#include "server/base/page_token.h"

#include "absl/strings/escaping.h"
#include "server/base/sha256.h"
#include "server/base/str_cat.h"

namespace attune {
namespace {

constexpr size_t kChecksumBytes = 8;

// The length of the scope goes in too, so that no other pair of scope and cursor gives the same bytes.
std::string Checksum(std::string_view scope, std::string_view cursor) {
  return absl::HexStringToBytes(Sha256Hex(StrCat(scope.size(), ":", scope, cursor)).substr(0, 2 * kChecksumBytes));
}

}  // namespace

std::string MakePageToken(std::string_view scope, std::string_view cursor) {
  return absl::WebSafeBase64Escape(Checksum(scope, cursor).append(cursor));
}

absl::StatusOr<std::string> ReadPageToken(std::string_view scope, std::string_view token) {
  if (token.empty()) return std::string();
  std::string bytes;
  if (absl::WebSafeBase64Unescape(std::string(token), &bytes) && bytes.size() >= kChecksumBytes) {
    const std::string_view cursor = std::string_view(bytes).substr(kChecksumBytes);
    if (MakePageToken(scope, cursor) == token) return std::string(cursor);
  }
  return absl::InvalidArgumentError(
      "page_token was not made by this list with these parameters: pass next_page_token of the page before as it is, "
      "or leave page_token empty to "
      "start over");
}

}  // namespace attune
