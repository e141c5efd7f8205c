#include "client/cli/render/error_text.h"

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "client/cli/render/format.h"
#include "client/cpp/error.h"
#include "server/base/str_cat.h"

namespace attune::cli {

std::string DefaultFix(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
      return "start a server (attune-server --data-dir DIR), or say where it is with --server HOST:PORT or "
             "ATTUNE_SERVER";
    case absl::StatusCode::kNotFound:
      return "check the name; `attune datasets list`, `models list` and `jobs list` show what there is";
    case absl::StatusCode::kAlreadyExists:
      return "choose another id, or delete the old one first";
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return "correct what is named above; the command with --help explains its flags";
    case absl::StatusCode::kFailedPrecondition:
      return "bring about what is named above, then try again";
    case absl::StatusCode::kResourceExhausted:
      return "make room, then run the same command again: transfers go on where they stopped";
    case absl::StatusCode::kDeadlineExceeded:
      return "try again; if it stays slow, `attune server info` and the server's log tell what it does";
    case absl::StatusCode::kDataLoss:
      return "run the same command again; if it stays, the file or the disk is damaged";
    case absl::StatusCode::kUnimplemented:
      return "use the `attune` program of the server's version (`attune server info`, `attune --version`)";
    case absl::StatusCode::kPermissionDenied:
      return "ask whoever runs the server for access";
    case absl::StatusCode::kUnauthenticated:
      return "give a token with ATTUNE_TOKEN or --token-file; whoever runs the server makes one with `attune tokens create`";
    default:
      return "this is a fault of the server or of the connection: try again, then look at the server's log";
  }
}

std::string FailureText(const Failure& failure, const Style& style) {
  client::Error error = client::DescribeError(failure.why);
  // Servers repeat the faults in the message for clients that show nothing else.
  if (!error.violations.empty() && absl::StrContains(error.message, error.violations[0].description)) {
    const size_t count = error.violations.size();
    error.message = count == 1 ? "the request has a fault" : StrCat("the request has ", count, " faults");
  }
  // The code helps with what the server said; our own words need none.
  const std::string code = error.reason.empty() ? "" : StrCat(" (", absl::StatusCodeToString(error.code), ")");
  std::string text = StrCat(Paint(style, Colour::kRed, "error:"), " ", failure.what, "\n");
  bool first = true;
  for (absl::string_view part : absl::StrSplit(error.message, '\n')) {
    const std::string line = OneLine(std::string_view(part.data(), part.size()));
    StrAppend(&text, first ? "  why: " : "       ", line, first ? code : "", "\n");
    first = false;
  }
  for (const client::FieldViolation& fault : error.violations) {
    StrAppend(&text, "         ", OneLine(fault.field), ": ", OneLine(fault.description), "\n");
  }
  StrAppend(&text, "  fix: ", failure.fix.empty() ? DefaultFix(error.code) : failure.fix, "\n");
  return text;
}

}  // namespace attune::cli
