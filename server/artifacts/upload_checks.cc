#include "server/artifacts/upload_checks.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "server/base/projects.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/base/utf8.h"

namespace attune::artifacts {
namespace {

constexpr size_t kMaxFilenameBytes = 255;
constexpr size_t kSha256Digits = 64;

bool HasControlCharacter(std::string_view text) {
  for (char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) return true;
  }
  return false;
}

bool IsHex(std::string_view text) {
  for (char c : text) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

}  // namespace

absl::Status CheckFilename(std::string_view filename) {
  auto fail = [&](std::string_view what) {
    return absl::InvalidArgumentError(
        StrCat("filename: \"", absl::CHexEscape(AbslView(filename.substr(0, 300))), "\" ", what));
  };
  if (filename.empty()) return fail("is empty; give the file's name, for example \"reviews.csv\"");
  if (filename.size() > kMaxFilenameBytes)
    return fail(StrCat("has more than ", kMaxFilenameBytes, " bytes; shorten it"));
  if (FirstInvalidUtf8(filename).has_value()) return fail("is not UTF-8; rename the file");
  if (filename.find_first_of("/\\") != std::string_view::npos)
    return fail("has directory parts; give the last part only");
  if (HasControlCharacter(filename)) return fail("has control characters; rename the file");
  if (filename == "." || filename == "..") return fail("is not the name of a file");
  return absl::OkStatus();
}

absl::StatusOr<CreateUploadOptions> CheckCreateUpload(CreateUploadOptions options) {
  ATTUNE_RETURN_IF_ERROR(CheckFilename(options.filename));
  if (options.size_bytes <= 0) {
    return absl::InvalidArgumentError(
        StrCat("size_bytes: ", options.size_bytes, " is not over 0; an empty file cannot be uploaded"));
  }
  if (!options.expected_sha256.empty() &&
      (options.expected_sha256.size() != kSha256Digits || !IsHex(options.expected_sha256))) {
    return absl::InvalidArgumentError(StrCat("sha256: \"", absl::CHexEscape(options.expected_sha256.substr(0, 80)),
                                             "\" is not ", kSha256Digits,
                                             " hex digits; leave it empty if it is not known"));
  }
  if (options.request_id.size() > kMaxScopedRequestIdBytes || FirstInvalidUtf8(options.request_id).has_value() ||
      HasControlCharacter(options.request_id)) {
    return absl::InvalidArgumentError(
        StrCat("request_id: use at most ", kMaxScopedRequestIdBytes, " bytes of text, for example a random UUID"));
  }
  absl::AsciiStrToLower(&options.expected_sha256);
  return options;
}

std::string PayloadDigest(const CreateUploadOptions& checked) {
  // A filename has no control characters, so the newlines keep the fields apart.
  return Sha256Hex(StrCat(checked.filename, "\n", checked.size_bytes, "\n", checked.expected_sha256));
}

}  // namespace attune::artifacts
