#include "server/api/access/references.h"

#include <array>
#include <string_view>
#include <vector>

#include "google/protobuf/descriptor.h"

namespace attune::api {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr std::array<std::string_view, 4> kCollections = {"uploads/", "datasets/", "models/", "fineTuningJobs/"};

// What people write, and what a model shall read: may look like anything.
constexpr std::array<std::string_view, 9> kFreeText = {"display_name", "filename", "labels", "text", "text_pair", "class_names", "class_labels", "filter", "page_token"};

bool IsFreeText(const FieldDescriptor& field) {
  for (const std::string_view name : kFreeText) {
    if (field.name() == name) return true;
  }
  return false;
}

void AddName(std::string_view text, std::set<std::string>& names) {
  for (const std::string_view collection : kCollections) {
    if (text.substr(0, collection.size()) != collection) continue;
    names.emplace(text.substr(0, text.find('/', collection.size())));
    return;
  }
}

void Walk(const Message& message, std::set<std::string>& names) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (IsFreeText(*field)) continue;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    if (field->type() == FieldDescriptor::TYPE_STRING) {
      for (int i = 0; i < count; ++i) AddName(field->is_repeated() ? reflection.GetRepeatedString(message, field, i) : reflection.GetString(message, field), names);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      for (int i = 0; i < count; ++i) Walk(field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i) : reflection.GetMessage(message, field), names);
    }
  }
}

}  // namespace

std::set<std::string> ReferencesIn(const Message& request) {
  std::set<std::string> names;
  Walk(request, names);
  return names;
}

}  // namespace attune::api
