#include "client/cli/spec/spec_values.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "client/cpp/names.h"
#include "server/base/nearest.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;

// "LrSchedulerType" -> "LR_SCHEDULER_TYPE_", the prefix of its values.
std::string Prefix(const EnumDescriptor& type) {
  std::string prefix;
  for (char c : type.name()) {
    if (absl::ascii_isupper(static_cast<unsigned char>(c)) && !prefix.empty()) prefix.push_back('_');
    prefix.push_back(absl::ascii_toupper(static_cast<unsigned char>(c)));
  }
  return prefix + "_";
}

absl::StatusOr<nlohmann::json> ParseEnum(const EnumDescriptor& type, const std::string& text) {
  std::string wanted = absl::AsciiStrToLower(text);
  std::replace(wanted.begin(), wanted.end(), '-', '_');
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor& value = *type.value(i);
    const std::string short_name = ShortEnumName(value);
    if (!short_name.empty() && (wanted == short_name || wanted == absl::AsciiStrToLower(value.name())))
      return value.name();
  }
  const std::vector<std::string> choices = EnumChoices(type);
  const std::string near = Nearest(wanted, choices);
  return absl::InvalidArgumentError(StrCat("'", text, "' is not one of ", absl::StrJoin(choices, ", "),
                                           near.empty() ? "" : StrCat("; did you mean '", near, "'?")));
}

template <typename Integer>
absl::StatusOr<nlohmann::json> ParseInteger(const std::string& text) {
  Integer value = 0;
  if (absl::SimpleAtoi(text, &value)) return value;
  double number = 0;
  const bool is_number = absl::SimpleAtod(text, &number);
  return absl::InvalidArgumentError(
      StrCat("expected a whole number", is_number ? " within range" : "", ", got '", text, "'"));
}

}  // namespace

std::string ShortEnumName(const EnumValueDescriptor& value) {
  if (value.number() == 0) return "";
  const std::string prefix = Prefix(*value.type());
  std::string name = value.name();
  if (absl::StartsWith(name, prefix)) name = name.substr(prefix.size());
  return absl::AsciiStrToLower(name);
}

std::vector<std::string> EnumChoices(const EnumDescriptor& type) {
  std::vector<std::string> choices;
  for (int i = 0; i < type.value_count(); ++i) {
    const std::string name = ShortEnumName(*type.value(i));
    if (!name.empty()) choices.push_back(name);
  }
  return choices;
}

absl::StatusOr<nlohmann::json> ParseScalar(const FieldDescriptor& field, const std::string& text) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return ParseInteger<int32_t>(text);
    case FieldDescriptor::CPPTYPE_INT64:
      return ParseInteger<int64_t>(text);
    case FieldDescriptor::CPPTYPE_UINT32:
      return ParseInteger<uint32_t>(text);
    case FieldDescriptor::CPPTYPE_UINT64:
      return ParseInteger<uint64_t>(text);
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT: {
      double value = 0;
      if (absl::SimpleAtod(text, &value) && value - value == 0) return value;
      return absl::InvalidArgumentError(StrCat("expected a finite number, got '", text, "'"));
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      bool value = false;
      if (absl::SimpleAtob(text, &value)) return value;
      return absl::InvalidArgumentError(StrCat("expected true or false, got '", text, "'"));
    }
    case FieldDescriptor::CPPTYPE_ENUM:
      return ParseEnum(*field.enum_type(), text);
    case FieldDescriptor::CPPTYPE_STRING:
      // People write "minilm" for models/minilm.
      if (field.full_name() == "attune.v1.FineTuningSpec.base_model") return client::FullName(text, "models");
      if (field.full_name() == "attune.v1.FineTuningSpec.dataset" || field.full_name() == "attune.v1.ReplaySpec.dataset")
        return client::FullName(text, "datasets");
      if (field.full_name() == "attune.v1.WarmStart.checkpoint") return client::CheckpointName(text);
      return text;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return absl::InvalidArgumentError("expected fields, one a line, further to the right");
}

std::string ShortestNumber(double value) {
  char buffer[40];
  for (int digits = 1; digits <= 17; ++digits) {
    std::snprintf(buffer, sizeof(buffer), "%.*g", digits, value);
    if (std::strtod(buffer, nullptr) == value) break;
  }
  return buffer;
}

std::string ScalarText(const google::protobuf::Message& message, const FieldDescriptor& field, int index) {
  const auto& reflection = *message.GetReflection();
  const bool repeated = index >= 0;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return repeated ? reflection.GetRepeatedString(message, &field, index) : reflection.GetString(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM:
      return ShortEnumName(repeated ? *reflection.GetRepeatedEnum(message, &field, index)
                                    : *reflection.GetEnum(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return ShortestNumber(repeated ? reflection.GetRepeatedDouble(message, &field, index)
                                     : reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return ShortestNumber(repeated ? reflection.GetRepeatedFloat(message, &field, index)
                                     : reflection.GetFloat(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return (repeated ? reflection.GetRepeatedBool(message, &field, index) : reflection.GetBool(message, &field))
                 ? "true"
                 : "false";
    case FieldDescriptor::CPPTYPE_INT32:
      return StrCat(repeated ? reflection.GetRepeatedInt32(message, &field, index)
                             : reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return StrCat(repeated ? reflection.GetRepeatedUInt32(message, &field, index)
                             : reflection.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return StrCat(repeated ? reflection.GetRepeatedInt64(message, &field, index)
                             : reflection.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return StrCat(repeated ? reflection.GetRepeatedUInt64(message, &field, index)
                             : reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  return "";
}

}  // namespace attune::cli
