// Strict base64url (RFC 7515, section 2): the URL-safe alphabet, no padding, no white space, and one text only for any bytes: unused bits are zero. Abseil's decoder is lenient in each of these, and
// with a lenient one, a token that was changed can still be accepted. Pure.
//
//   std::optional<std::string> bytes = DecodeBase64Url("AQAB");   // nothing where the text is not canonical
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace attune::auth {

std::optional<std::string> DecodeBase64Url(std::string_view text);
std::string EncodeBase64Url(std::string_view bytes);

}  // namespace attune::auth
