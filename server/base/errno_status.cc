#include "server/base/errno_status.h"

#include <cerrno>
#include <string>
#include <system_error>

#include "server/base/str_cat.h"

namespace attune {

absl::Status ErrnoStatus(int error, std::string_view action, std::string_view path) {
  // std::system_category is thread-safe, strerror is not.
  std::string message = StrCat(action, " ", path, ": ", std::system_category().message(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(StrCat(message, "; free some space and try again"));
    case ENOENT:
      return absl::NotFoundError(message);
    default:
      return absl::InternalError(message);
  }
}

}  // namespace attune
