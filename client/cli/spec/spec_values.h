// Values of a spec as people write them, guided by the field's descriptor: numbers, and enum values in short form
// ("bf16" for PRECISION_BF16). What files and flags share. Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "nlohmann/json.hpp"

namespace attune::cli {

// The short form of an enum value: without the enum's prefix, lower case. Empty for the unspecified one.
std::string ShortEnumName(const google::protobuf::EnumValueDescriptor& value);

// All short forms of an enum, in order.
std::vector<std::string> EnumChoices(const google::protobuf::EnumDescriptor& type);

// `text` as the JSON that protobuf reads for the field. Not for messages. INVALID_ARGUMENT says what was expected, and
// the nearest valid value.
absl::StatusOr<nlohmann::json> ParseScalar(const google::protobuf::FieldDescriptor& field, const std::string& text);

// A number so that reading it gives the same number, as short as that allows.
std::string ShortestNumber(double value);

// The value of a field that holds no message, or the one at `index` of a repeated one (-1: it is not repeated). ParseScalar reads it back.
std::string ScalarText(const google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field, int index);

}  // namespace attune::cli
