#include "server/weights/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <unordered_set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::weights {
namespace {

constexpr char kSupportedDTypes[] = "F64, F32, F16, BF16, I64, I32, I16, I8, U8 and BOOL";

// Receives the parser's events and knows at each moment what may come next. The deepest legal place is a number in
// data_offsets: { "name": { "data_offsets": [ 0, ...
class HeaderHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderHandler(SafetensorsHeader* header) : header_(header) {}
  const absl::Status& status() const { return status_; }

  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("true or false"); }
  bool number_float(double, const std::string& text) override { return Unexpected("the number " + text); }
  bool binary(binary_t&) override { return Unexpected("binary data"); }
  bool number_integer(int64_t value) override { return Unexpected(StrCat("the negative number ", value)); }

  bool number_unsigned(uint64_t value) override {
    if (place_ != Place::kShape && place_ != Place::kOffsets) return Unexpected("a number");
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return Fail(StrCat(InTensor(), field_, " has the number ", value, ", which is too large"));
    }
    if (place_ == Place::kShape && tensor_.shape.size() == kMaxRank) {
      return Fail(StrCat(InTensor(), "shape has more than ", kMaxRank, " dimensions"));
    }
    if (place_ == Place::kOffsets && offsets_.size() == 2)
      return Fail(StrCat(InTensor(), "data_offsets has more than two numbers"));
    (place_ == Place::kShape ? tensor_.shape : offsets_).push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      header_->metadata[field_] = std::move(value);
      return true;
    }
    if (place_ != Place::kTensor || field_ != "dtype") return Unexpected("a string");
    std::optional<DType> dtype = DTypeFromName(value);
    if (!dtype.has_value()) {
      return Fail(StrCat(InTensor(), "dtype ", QuotedName(value), " is not supported; convert it to one of ",
                         kSupportedDTypes));
    }
    tensor_.dtype = *dtype;
    return true;
  }

  bool start_object(size_t) override {
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
      return true;
    }
    if (place_ != Place::kTop) return Unexpected("an object");
    place_ = field_ == kMetadataKey ? Place::kMetadata : Place::kTensor;
    tensor_ = TensorInfo{.name = field_};
    offsets_.clear();
    seen_fields_.clear();
    return true;
  }

  bool key(string_t& value) override {
    field_ = std::move(value);
    if (place_ == Place::kTop) {
      if (names_.insert(field_).second) return true;
      return Fail(StrCat("the name ", QuotedName(field_), " appears twice"));
    }
    if (place_ == Place::kTensor && field_ != "dtype" && field_ != "shape" && field_ != "data_offsets") {
      return Fail(StrCat(InTensor(), "the key ", QuotedName(field_),
                         " is unknown; dtype, shape and data_offsets are expected"));
    }
    if (seen_fields_.insert(field_).second) return true;
    return Fail(StrCat(place_ == Place::kMetadata ? "__metadata__: " : InTensor(), "the key ", QuotedName(field_),
                       " appears twice"));
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      if (seen_fields_.size() != 3) return Fail(StrCat(InTensor(), "one of dtype, shape and data_offsets is missing"));
      tensor_.begin = offsets_[0];
      tensor_.end = offsets_[1];
      header_->tensors.push_back(std::move(tensor_));
    }
    place_ = place_ == Place::kTop ? Place::kEnd : Place::kTop;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != Place::kTensor || field_ == "dtype") return Unexpected("a list");
    place_ = field_ == "shape" ? Place::kShape : Place::kOffsets;
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kOffsets && offsets_.size() != 2)
      return Fail(StrCat(InTensor(), "data_offsets needs two numbers"));
    place_ = Place::kTensor;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    return Fail(StrCat("the header is not valid JSON (at byte ", position, ")"));
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };

  std::string InTensor() const { return StrCat("tensor ", QuotedName(tensor_.name), ": "); }

  bool Fail(std::string message) {
    status_ = absl::InvalidArgumentError(message);
    return false;
  }

  bool Unexpected(const std::string& what) {
    switch (place_) {
      case Place::kStart:
      case Place::kEnd:
        return Fail(StrCat("the header is ", what, " and not a JSON object"));
      case Place::kTop:
        return Fail(StrCat(QuotedName(field_), " is ", what, " and not a JSON object"));
      case Place::kMetadata:
        return Fail(StrCat("__metadata__: ", QuotedName(field_), " is ", what, "; only strings are allowed"));
      default:
        return Fail(StrCat(InTensor(), field_, " has ", what, " where ",
                           field_ == "dtype" ? "a string is expected" : "a list of whole numbers from 0 is expected"));
    }
  }

  SafetensorsHeader* const header_;
  absl::Status status_;
  Place place_ = Place::kStart;
  std::string field_;  // the last key
  TensorInfo tensor_;
  std::vector<int64_t> offsets_;
  std::unordered_set<std::string> names_;
  std::unordered_set<std::string> seen_fields_;  // of the current tensor or of the metadata
};

absl::Status CheckTensor(const TensorInfo& tensor, int64_t data_bytes) {
  auto fail = [&](const std::string& what) {
    return absl::InvalidArgumentError(StrCat("tensor ", QuotedName(tensor.name), ": ", what));
  };
  const std::string offsets = StrCat("data_offsets [", tensor.begin, ", ", tensor.end, "]");
  if (tensor.begin > tensor.end) return fail(offsets + " are reversed");
  if (tensor.end > data_bytes)
    return fail(StrCat(offsets, " go beyond the data, which has ", data_bytes, " bytes; is the file complete?"));
  const std::string shape = StrCat("shape [", absl::StrJoin(tensor.shape, ", "), "] of ", DTypeName(tensor.dtype));
  std::optional<int64_t> bytes = TensorBytes(tensor.dtype, tensor.shape);
  if (!bytes.has_value()) return fail(shape + " is too large");
  if (*bytes != tensor.end - tensor.begin)
    return fail(StrCat(shape, " needs ", *bytes, " bytes, but ", offsets, " span ", tensor.end - tensor.begin));
  return absl::OkStatus();
}

}  // namespace

std::string QuotedName(std::string_view name) {
  constexpr size_t kShown = 200;
  if (name.size() <= kShown) return StrCat("\"", absl::Utf8SafeCEscape(AbslView(name)), "\"");
  return StrCat("\"", absl::CHexEscape(AbslView(name.substr(0, kShown))), "\"... (", name.size(), " bytes)");
}

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json) {
  // The JSON library takes a NUL for the end, which would hide what comes after it.
  if (size_t nul = json.find('\0'); nul != std::string_view::npos) {
    return absl::InvalidArgumentError(StrCat("the header is not valid JSON (at byte ", nul, ")"));
  }
  SafetensorsHeader header;
  HeaderHandler handler(&header);
  if (nlohmann::json::sax_parse(json, &handler)) return header;
  if (handler.status().ok()) return absl::InvalidArgumentError("the header is not valid JSON");
  return handler.status();
}

absl::Status CheckLayout(std::vector<TensorInfo>& tensors, int64_t data_bytes) {
  for (const TensorInfo& tensor : tensors) ATTUNE_RETURN_IF_ERROR(CheckTensor(tensor, data_bytes));
  std::stable_sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t filled = 0;
  const TensorInfo* previous = nullptr;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.begin < filled) {
      return absl::InvalidArgumentError(
          StrCat("tensor ", QuotedName(tensor.name), ": its data overlaps that of ", QuotedName(previous->name)));
    }
    if (tensor.begin > filled) {
      return absl::InvalidArgumentError(StrCat("tensor ", QuotedName(tensor.name), ": ", tensor.begin - filled,
                                               " bytes before its data belong to no tensor"));
    }
    filled = tensor.end;
    previous = &tensor;
  }
  if (filled != data_bytes) {
    return absl::InvalidArgumentError(StrCat(data_bytes - filled, " bytes after the last tensor belong to no tensor"));
  }
  return absl::OkStatus();
}

}  // namespace attune::weights
