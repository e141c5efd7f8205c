#include "server/base/ids.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "server/base/str_cat.h"

namespace attune {
namespace {

// There is no sensible way to go on without randomness, and on Linux it does not happen after boot.
std::string RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  size_t filled = 0;
  while (filled < count) {
    ssize_t got = getrandom(bytes.data() + filled, count - filled, 0);
    if (got < 0 && errno != EINTR) {
      std::perror("attune: getrandom");
      std::abort();
    }
    if (got > 0) filled += static_cast<size_t>(got);
  }
  return bytes;
}

}  // namespace

std::string NewId(char prefix) {
  static constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
  std::string id(1, prefix);
  uint32_t buffer = 0;
  int bits = 0;
  for (unsigned char byte : RandomBytes(10)) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      id += kAlphabet[(buffer >> bits) & 31];
    }
  }
  return id;
}

std::string NewSecret() { return absl::BytesToHexString(RandomBytes(32)); }

absl::Status CheckResourceId(std::string_view id, std::string_view field) {
  bool valid = !id.empty() && id.size() <= 63 && id[0] >= 'a' && id[0] <= 'z';
  for (char c : id) {
    valid = valid && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-');
  }
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      StrCat(field, ": \"", absl::CHexEscape(AbslView(id.substr(0, 80))),
             "\" is not a valid id; use 1 to 63 of a-z, 0-9 and '-', starting with a letter"));
}

absl::StatusOr<std::string> ParseResourceName(std::string_view name, std::string_view collection) {
  if (name.size() > collection.size() + 1 && name.substr(0, collection.size()) == collection &&
      name[collection.size()] == '/') {
    std::string_view id = name.substr(collection.size() + 1);
    if (CheckResourceId(id, "name").ok()) return std::string(id);
  }
  return absl::InvalidArgumentError(StrCat("name: \"", absl::CHexEscape(AbslView(name.substr(0, 120))),
                                           "\" is not of the form ", collection,
                                           "/{id}, where id is 1 to 63 of a-z, 0-9 and '-'"));
}

}  // namespace attune
