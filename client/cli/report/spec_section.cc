#include "client/cli/report/spec_section.h"

#include "client/cli/spec/spec_values.h"
#include "client/cli/spec/spec_yaml.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// `asked` is null where nothing was given.
void Collect(const Message& message, const Message* asked, const std::string& prefix, std::vector<Setting>* settings);

void CollectField(const Message& message, const Message* asked, const FieldDescriptor& field, const std::string& path,
                  std::vector<Setting>* settings) {
  const auto& reflection = *message.GetReflection();
  if (!field.is_repeated()) {
    const bool is_given = asked != nullptr && asked->GetReflection()->HasField(*asked, &field);
    if (field.message_type() == nullptr) {
      settings->push_back({path, ScalarText(message, field, -1), is_given});
    } else {
      const Message* inner = is_given ? &asked->GetReflection()->GetMessage(*asked, &field) : nullptr;
      Collect(reflection.GetMessage(message, &field), inner, path, settings);
    }
    return;
  }
  const int given = asked == nullptr ? 0 : asked->GetReflection()->FieldSize(*asked, &field);
  std::string list;
  for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
    if (field.message_type() == nullptr) {
      StrAppend(&list, list.empty() ? "" : ", ", ScalarText(message, field, i));
    } else {
      const Message* inner = i < given ? &asked->GetReflection()->GetRepeatedMessage(*asked, &field, i) : nullptr;
      Collect(reflection.GetRepeatedMessage(message, &field, i), inner, StrCat(path, "[", i, "]"), settings);
    }
  }
  if (field.message_type() == nullptr) settings->push_back({path, list, given > 0});
}

void Collect(const Message& message, const Message* asked, const std::string& prefix, std::vector<Setting>* settings) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields)
    CollectField(message, asked, *field, prefix.empty() ? field->name() : StrCat(prefix, ".", field->name()), settings);
}

}  // namespace

std::vector<Setting> Settings(const v1::FineTuningSpec& asked, const v1::FineTuningSpec& effective) {
  std::vector<Setting> settings;
  Collect(effective, &asked, "", &settings);
  return settings;
}

Html SpecSection(const ReportData& data) {
  const bool is_resolved = data.job.has_effective_spec();
  const v1::FineTuningSpec& spec = is_resolved ? data.job.effective_spec() : data.job.spec();
  HtmlTable table({{"Setting"}, {"Value"}, {"From"}});
  for (const Setting& setting : Settings(data.job.spec(), spec)) {
    const Html from =
        setting.is_given ? Element("b", {}, Text("given")) : Element("span", {{"class", "frozen"}}, Text("filled in"));
    table.AddRow({Text(setting.path), Element("code", {}, Text(setting.value)), from});
  }
  const Html file = Element("details", {},
                            Join({Element("summary", {}, Text("As a job file, for attune jobs create --file")),
                                  Element("pre", {}, Lines(SpecYaml(spec)))}));
  return Section("settings", "Settings", Join({table.Render(), file}));
}

}  // namespace attune::cli
