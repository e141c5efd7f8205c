// Written without yaml-cpp's emitter, which changes texts: it makes noncharacters of Unicode (U+FFFF) into U+FFFD, leaves carriage returns to be read as ends of lines, and
// names of over 1,024 characters so that they cannot be read again. Texts that are not plain words are quoted as in JSON, which is YAML.
#include "client/cli/spec/spec_yaml.h"

#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "client/cli/spec/spec_values.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "nlohmann/json.hpp"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// YAML takes no more than 1024 characters before a ':' without a '?', and an escaped byte may take six.
constexpr size_t kLongestSimpleKey = 128;

// Whether YAML reads `text` as itself without quotes, and any reader of YAML 1.1 as a text.
bool IsPlain(const std::string& text) {
  static constexpr const char* kMeaning[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
  const auto is_word = [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.' || c == '/'; };
  if (text.empty() || !(absl::ascii_isalpha(text[0]) || text[0] == '_')) return false;
  for (size_t i = 1; i < text.size(); ++i) {
    const bool joins = (text[i] == ' ' || text[i] == ':') && i + 1 < text.size() && is_word(text[i - 1]) && is_word(text[i + 1]);
    if (!is_word(text[i]) && !joins) return false;
  }
  for (const char* word : kMeaning) {
    if (absl::EqualsIgnoreCase(text, word)) return false;
  }
  return true;
}

std::string Text(const std::string& text) {
  if (IsPlain(text)) return text;
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);  // texts of messages are UTF-8
}

// The lines of a message, none indented; "{}" where nothing is set.
std::vector<std::string> Lines(const Message& message);

void Append(const std::vector<std::string>& lines, const std::string& first, const std::string& rest, std::vector<std::string>& out) {
  for (size_t i = 0; i < lines.size(); ++i) out.push_back(StrCat(i == 0 ? first : rest, lines[i]));
}

std::string Scalar(const Message& message, const FieldDescriptor& field, int index) {
  const std::string text = ScalarText(message, field, index);
  return field.cpp_type() == FieldDescriptor::CPPTYPE_STRING ? Text(text) : text;
}

void AppendMap(const Message& message, const FieldDescriptor& field, std::vector<std::string>& out) {
  const auto& reflection = *message.GetReflection();
  std::map<std::string, const Message*> entries;  // in the order of keys, so that equal specs are equal files
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    entries[ScalarText(entry, *field.message_type()->map_key(), -1)] = &entry;
  }
  for (const auto& [key, entry] : entries) {
    const std::string value = Scalar(*entry, *field.message_type()->map_value(), -1);
    if (key.size() > kLongestSimpleKey) {
      out.push_back(StrCat("  ? ", Text(key)));
      out.push_back(StrCat("  : ", value));
    } else {
      out.push_back(StrCat("  ", Text(key), ": ", value));
    }
  }
}

void AppendField(const Message& message, const FieldDescriptor& field, std::vector<std::string>& out) {
  const auto& reflection = *message.GetReflection();
  const bool holds_message = field.message_type() != nullptr;
  const std::string name = StrCat(field.name(), ":");
  if (!field.is_repeated() && !holds_message) {
    out.push_back(StrCat(name, " ", Scalar(message, field, -1)));
    return;
  }
  if (!field.is_repeated()) {
    const std::vector<std::string> lines = Lines(reflection.GetMessage(message, &field));
    if (lines.size() == 1 && lines[0] == "{}") {
      out.push_back(StrCat(name, " {}"));
      return;
    }
    out.push_back(name);
    Append(lines, "  ", "  ", out);
    return;
  }
  out.push_back(name);
  if (field.is_map()) return AppendMap(message, field, out);
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    if (holds_message) {
      Append(Lines(reflection.GetRepeatedMessage(message, &field, i)), "  - ", "    ", out);
    } else {
      out.push_back(StrCat("  - ", Scalar(message, field, i)));
    }
  }
}

std::vector<std::string> Lines(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  std::vector<std::string> lines;
  for (const FieldDescriptor* field : fields) AppendField(message, *field, lines);
  if (lines.empty()) lines.emplace_back("{}");
  return lines;
}

}  // namespace

std::string SpecYaml(const v1::FineTuningSpec& spec) { return StrCat(absl::StrJoin(Lines(spec), "\n"), "\n"); }

}  // namespace attune::cli
