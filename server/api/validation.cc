#include "server/api/validation.h"

#include <algorithm>
#include <limits>

#include "absl/strings/cord.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "server/api/grpc_status.h"
#include "server/base/ids.h"
#include "server/base/str_cat.h"

namespace attune::api {
namespace {

constexpr size_t kMaxRequestIdBytes = 128;
constexpr std::string_view kCheckpoints = "/checkpoints/";

// For messages: short, and with nothing that could garble a terminal.
std::string Quoted(std::string_view value) {
  std::string shown = absl::CHexEscape(AbslView(value.substr(0, 80)));
  return StrCat("\"", shown, value.size() > 80 ? "...\"" : "\"");
}

}  // namespace

void RequestCheck::Violate(std::string_view field, std::string_view description) {
  auto* violation = faults_.add_field_violations();
  violation->set_field(std::string(field));
  violation->set_description(std::string(description));
}

void RequestCheck::Name(std::string_view field, std::string_view value, std::string_view collection) {
  if (value.empty()) {
    Violate(field, StrCat("is required: ", collection, "/{id}"));
  } else if (!ParseResourceName(value, collection).ok()) {
    Violate(field, StrCat(Quoted(value), " is not of the form ", collection, "/{id}, where id is 1 to 63 of a-z, 0-9 and '-', ",
                          "starting with a letter"));
  }
}

void RequestCheck::OptionalName(std::string_view field, std::string_view value, std::string_view collection) {
  if (!value.empty()) Name(field, value, collection);
}

void RequestCheck::CheckpointName(std::string_view field, std::string_view value, bool aliases) {
  std::string form = StrCat("fineTuningJobs/{job}/checkpoints/{step}", aliases ? "; best and last are understood in place of a step" : "");
  absl::StatusOr<CheckpointParts> parts = ParseCheckpointName(value);
  if (value.empty()) {
    Violate(field, StrCat("is required: ", form));
  } else if (!parts.ok()) {
    Violate(field, StrCat(Quoted(value), " is not of the form ", form));
  } else if (!aliases && (parts->step == "best" || parts->step == "last")) {
    Violate(field, StrCat(Quoted(value), " needs a step here, as best and last may move: ", form));
  }
}

void RequestCheck::OptionalId(std::string_view field, std::string_view value) {
  if (value.empty() || CheckResourceId(value, field).ok()) return;
  Violate(field, StrCat(Quoted(value), " is not a valid id; use 1 to 63 of a-z, 0-9 and '-', starting with a letter"));
}

void RequestCheck::NotEmpty(std::string_view field, std::string_view value, std::string_view what) {
  if (value.empty()) Violate(field, StrCat("is required: ", what));
}

void RequestCheck::Text(std::string_view field, std::string_view value, size_t bytes) {
  if (value.size() > bytes) {
    Violate(field, StrCat("is ", value.size(), " bytes long; at most ", bytes, " are allowed"));
  } else if (std::any_of(value.begin(), value.end(), [](char c) { return (c >= 0 && c < ' ') || c == 127; })) {
    Violate(field, StrCat(Quoted(value), " has control characters; remove them"));
  }
}

void RequestCheck::Range(std::string_view field, int64_t value, int64_t least, int64_t most, std::string_view what) {
  if (value >= least && value <= most) return;
  std::string range = most == std::numeric_limits<int64_t>::max() ? StrCat("at least ", least) : StrCat("from ", least, " to ", most);
  Violate(field, StrCat("is ", value, "; ", what, " must be ", range));
}

void RequestCheck::RequestId(std::string_view value) {
  if (value.size() > kMaxRequestIdBytes || std::any_of(value.begin(), value.end(), [](char c) { return c <= ' ' || c > '~'; })) {
    Violate("request_id", StrCat(Quoted(value), " is not usable; use up to ", kMaxRequestIdBytes,
                                 " printable ASCII characters without spaces, for example a UUID"));
  }
}

void RequestCheck::PageSize(int64_t value) {
  if (value < 0) Violate("page_size", StrCat("is ", value, "; use 0 for the default, or a positive number"));
}

absl::Status RequestCheck::status() const {
  if (faults_.field_violations_size() == 0) return absl::OkStatus();
  const auto& first = faults_.field_violations(0);
  std::string message = StrCat(first.field(), ": ", first.description());
  int others = faults_.field_violations_size() - 1;
  if (others > 0) StrAppend(&message, " (and ", others, others == 1 ? " more fault)" : " more faults)");
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(AbslView(kBadRequestPayload), absl::Cord(faults_.SerializeAsString()));
  return status;
}

int32_t EffectivePageSize(int32_t asked, int32_t standard, int32_t most) {
  return asked <= 0 ? standard : std::min(asked, most);
}

absl::StatusOr<CheckpointParts> ParseCheckpointName(std::string_view name) {
  absl::Status malformed = absl::InvalidArgumentError(
      StrCat("name: ", Quoted(name), " is not of the form fineTuningJobs/{job}/checkpoints/{step}"));
  size_t middle = name.find(kCheckpoints);
  if (middle == std::string_view::npos) return malformed;
  CheckpointParts parts = {.job = std::string(name.substr(0, middle)),
                           .step = std::string(name.substr(middle + kCheckpoints.size()))};
  if (!ParseResourceName(parts.job, "fineTuningJobs").ok()) return malformed;
  int64_t step = 0;
  bool number = absl::SimpleAtoi(parts.step, &step) && step >= 0 && StrCat(step) == parts.step;
  if (!number && parts.step != "best" && parts.step != "last") return malformed;
  return parts;
}

}  // namespace attune::api
