// Page tokens: opaque to clients, a cursor to us. A token holds the cursor and a checksum over it and its scope (which
// list it belongs to, and whatever else must stay the same from page to page, such as the filter), as base64url without
// padding. The checksum catches tokens that were cut, edited or taken from another list; it is no secret. Pure;
// thread-safe.
//
//   response.set_next_page_token(MakePageToken("datasets", "1234"));
//   ATTUNE_ASSIGN_OR_RETURN(std::string cursor, ReadPageToken("datasets", request.page_token()));  // first page: ""
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attune {

// Never empty, also for an empty cursor.
std::string MakePageToken(std::string_view scope, std::string_view cursor);

// The cursor; "" for an empty token. INVALID_ARGUMENT, saying what to do, for a token that MakePageToken did not make
// for `scope`.
absl::StatusOr<std::string> ReadPageToken(std::string_view scope, std::string_view token);

}  // namespace attune
