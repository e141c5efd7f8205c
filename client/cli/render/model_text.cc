#include "client/cli/render/model_text.h"

#include "absl/strings/str_join.h"
#include "client/cli/render/format.h"
#include "client/cli/render/table.h"
#include "client/cpp/names.h"
#include "server/base/str_cat.h"

namespace attune::cli {

std::string ModelTable(const std::vector<v1::Model>& models, absl::Time now, const Style& style) {
  if (models.empty()) return "No models yet. Import one: attune models import DIRECTORY --id NAME\n";
  Table table({{"MODEL"},
               {"ARCHITECTURE"},
               {"PARAMETERS", Align::kRight},
               {"SIZE", Align::kRight},
               {"MAX LENGTH", Align::kRight},
               {"CREATED"},
               {"NAME"}});
  for (const v1::Model& model : models) {
    table.AddRow({client::ShortName(model.name()), model.architecture(), Count(model.parameter_count()),
                  Bytes(model.size_bytes()), Count(model.max_length()), Ago(ToTime(model.create_time()), now),
                  OneLine(model.display_name())});
  }
  return table.Render(style);
}

std::string ModelDetails(const v1::Model& model, const Style& style) {
  return StrCat(Paint(style, Colour::kBold, model.name()), "\n",
                KeyValues({{"name", OneLine(model.display_name())},
                           {"architecture", model.architecture()},
                           {"parameters", Count(model.parameter_count())},
                           {"size", Bytes(model.size_bytes())},
                           {"max length", StrCat(Count(model.max_length()), " tokens")},
                           {"layer groups", absl::StrJoin(model.layer_groups(), ", ")},
                           {"not used", absl::StrJoin(model.ignored_tensors(), ", ")},
                           {"digest", model.digest()},
                           {"created", model.has_create_time() ? DateAndTime(ToTime(model.create_time())) : ""}},
                          style));
}

std::string LayerTable(const v1::DescribeLayersResponse& layers, const Style& style) {
  Table table({{"GROUP"}, {"PARAMETER"}, {"SHAPE"}, {"VALUES", Align::kRight}});
  std::string group;
  for (const v1::Layer& layer : layers.layers()) {
    // A group's name stands at its first parameter only.
    table.AddRow({layer.group() == group ? "" : layer.group(), layer.name(), absl::StrJoin(layer.shape(), " x "),
                  Count(layer.parameter_count())});
    group = layer.group();
  }
  if (layers.matches().empty()) return table.Render(style);
  std::string text;
  for (const v1::PatternMatch& match : layers.matches()) {
    StrAppend(&text, text.empty() ? "" : "\n", Paint(style, Colour::kBold, match.pattern()), ": ");
    if (match.names().empty()) {
      StrAppend(&text, Paint(style, Colour::kYellow, "matches nothing"), "\n");
      continue;
    }
    StrAppend(&text, Count(match.names_size()), " parameters, ", Count(match.parameter_count()), " values\n");
    for (const std::string& name : match.names()) StrAppend(&text, "  ", name, "\n");
  }
  return text;
}

std::string ArchitectureTable(const v1::ListArchitecturesResponse& architectures, const Style& style) {
  Table table({{"ARCHITECTURE"}, {"TASKS"}, {"DESCRIPTION"}});
  for (const v1::Architecture& architecture : architectures.architectures()) {
    table.AddRow({architecture.name(), absl::StrJoin(architecture.tasks(), ", "), OneLine(architecture.description())});
  }
  return table.Render(style);
}

}  // namespace attune::cli
