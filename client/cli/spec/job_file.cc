#include "client/cli/spec/job_file.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "absl/strings/str_join.h"
#include "client/cli/spec/spec_values.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"
#include "server/base/nearest.h"
#include "server/base/str_cat.h"
#include "yaml-cpp/yaml.h"

namespace attune::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::OneofDescriptor;
using nlohmann::json;

// Goes through the YAML beside the message's descriptor and makes the JSON that protobuf reads, collecting every fault
// with its line.
class Converter {
 public:
  explicit Converter(std::string filename) : filename_(std::move(filename)) {}

  // The root: fields of the spec, and those of the request that a file may set.
  json Root(const YAML::Node& node) {
    const Descriptor& request = *v1::CreateFineTuningJobRequest::descriptor();
    json result = json::object();
    json spec = Message(node, *v1::FineTuningSpec::descriptor(), "the job",
                        {request.FindFieldByName("display_name"), request.FindFieldByName("labels")});
    for (const char* name : {"display_name", "labels"}) {
      if (!spec.contains(name)) continue;
      result[name] = spec[name];
      spec.erase(name);
    }
    result["spec"] = spec;
    return result;
  }

  const std::vector<std::string>& faults() const { return faults_; }

 private:
  json Message(const YAML::Node& node, const Descriptor& type, const std::string& where,
               const std::vector<const FieldDescriptor*>& more = {}) {
    json result = json::object();
    if (!node.IsMap()) {
      Fault(node, StrCat(where, " must be fields with values, like 'name: value'"));
      return result;
    }
    std::map<std::string, int> lines;  // of the fields that were seen
    std::map<const OneofDescriptor*, std::string> chosen;
    for (const auto& entry : node) {
      const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
      const FieldDescriptor* field = Find(type, more, key);
      if (field == nullptr) {
        Fault(entry.first, UnknownField(type, more, key, where));
        continue;
      }
      auto [seen, is_new] = lines.emplace(field->name(), Line(entry.first));
      if (!is_new) Fault(entry.first, StrCat("'", field->name(), "' is already given on line ", seen->second));
      if (entry.second.IsNull()) continue;  // "seed:" with nothing behind it
      if (const OneofDescriptor* oneof = field->real_containing_oneof()) {
        auto [other, first] = chosen.emplace(oneof, field->name());
        if (!first && other->second != field->name()) {
          Fault(entry.first, StrCat("'", field->name(), "' and '", other->second, "' (line ", lines[other->second],
                                    ") exclude each other: keep one"));
          continue;
        }
      }
      result[field->name()] = Value(entry.second, *field);
    }
    return result;
  }

  json Value(const YAML::Node& node, const FieldDescriptor& field) {
    if (field.is_map()) return Map(node, field);
    if (!field.is_repeated()) return Single(node, field);
    json list = json::array();
    if (!node.IsSequence()) {
      Fault(node, StrCat("'", field.name(), "' must be a list: each entry on its own line after '- ', or [a, b]"));
      return list;
    }
    for (const auto& entry : node) list.push_back(Single(entry, field));
    return list;
  }

  json Map(const YAML::Node& node, const FieldDescriptor& field) {
    json result = json::object();
    if (!node.IsMap()) {
      const bool texts = field.message_type()->map_value()->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
      Fault(node, StrCat("'", field.name(), "' must be pairs, like '", texts ? "team: nlp" : "name: 2", "'"));
      return result;
    }
    for (const auto& entry : node) {
      if (!entry.first.IsScalar() || !entry.second.IsScalar()) {
        Fault(entry.first, StrCat("an entry of '", field.name(), "' must be a name with a value"));
        continue;
      }
      const FieldDescriptor& type = *field.message_type()->map_value();
      auto value = ParseScalar(type, entry.second.Scalar());
      if (value.ok()) {
        result[entry.first.Scalar()] = *std::move(value);
      } else {
        Fault(entry.second, StrCat("'", field.name(), "', '", entry.first.Scalar(), "': ", value.status().message()));
      }
    }
    return result;
  }

  json Single(const YAML::Node& node, const FieldDescriptor& field) {
    if (field.message_type() != nullptr) return Message(node, *field.message_type(), StrCat("'", field.name(), "'"));
    if (!node.IsScalar()) {
      Fault(node, StrCat("'", field.name(), "' must be one value"));
      return nullptr;
    }
    auto value = ParseScalar(field, node.Scalar());
    if (value.ok()) return *value;
    Fault(node, StrCat("'", field.name(), "': ", value.status().message()));
    return nullptr;
  }

  static const FieldDescriptor* Find(const Descriptor& type, const std::vector<const FieldDescriptor*>& more,
                                     const std::string& key) {
    if (const FieldDescriptor* field = type.FindFieldByName(key)) return field;
    if (const FieldDescriptor* field = type.FindFieldByCamelcaseName(key)) return field;
    for (const FieldDescriptor* field : more) {
      if (field->name() == key || field->camelcase_name() == key) return field;
    }
    return nullptr;
  }

  static std::string UnknownField(const Descriptor& type, const std::vector<const FieldDescriptor*>& more,
                                  const std::string& key, const std::string& where) {
    std::vector<std::string> names;
    for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
    for (const FieldDescriptor* field : more) names.push_back(field->name());
    const std::string near = Nearest(key, names);
    if (!near.empty()) return StrCat(where, " has no field '", key, "'; did you mean '", near, "'?");
    // The right name at the wrong place is a common slip.
    const Descriptor& hyperparameters = *v1::Hyperparameters::descriptor();
    if (&type != &hyperparameters && hyperparameters.FindFieldByName(key) != nullptr) {
      return StrCat(where, " has no field '", key, "'; it belongs under 'hyperparameters'");
    }
    return StrCat(where, " has no field '", key, "'; it has ", absl::StrJoin(names, ", "));
  }

  static int Line(const YAML::Node& node) { return std::max(node.Mark().line, 0) + 1; }  // a file without a value has no mark
  void Fault(const YAML::Node& node, const std::string& what) {
    faults_.push_back(StrCat(filename_, ":", Line(node), ": ", what));
  }

  const std::string filename_;
  std::vector<std::string> faults_;
};

}  // namespace

absl::StatusOr<v1::CreateFineTuningJobRequest> ParseJobFile(const std::string& text, const std::string& filename) {
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& error) {  // the library knows no other way
    return absl::InvalidArgumentError(StrCat(filename, ":", error.mark.line + 1, ": not YAML: ", error.msg));
  }
  Converter converter(filename);
  const json document = converter.Root(root);
  if (!converter.faults().empty()) return absl::InvalidArgumentError(absl::StrJoin(converter.faults(), "\n"));
  v1::CreateFineTuningJobRequest request;
  // Text that is not UTF-8 would make dump() throw.
  const auto status = google::protobuf::util::JsonStringToMessage(
      document.dump(-1, ' ', false, json::error_handler_t::replace), &request);
  if (!status.ok()) return absl::InvalidArgumentError(StrCat(filename, ": ", std::string(status.message())));
  return request;
}

}  // namespace attune::cli
