#include "client/cli/render/model_text.h"

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "client/cli/render/format.h"
#include "client/cli/render/table.h"
#include "client/cpp/names.h"
#include "server/base/str_cat.h"

namespace attune::cli {

namespace {

// "512 tokens", "224 x 224 pixels".
std::string Input(const v1::Model& model) {
  if (model.modality() != "image") return StrCat(Count(model.max_length()), " tokens");
  return StrCat(Count(model.image_size()), " x ", Count(model.image_size()), " pixels");
}

// Images of other sizes that a job may ask for.
std::string OtherSizes(const v1::Model& model) {
  if (model.modality() != "image") return "";
  const std::string multiple =
      model.image_size_multiple() > 1 ? StrCat(", in multiples of ", Count(model.image_size_multiple())) : "";
  return StrCat("from ", Count(model.min_image_size()), " pixels", multiple);
}

// The tensors of the model's old head, or all others.
std::string IgnoredTensors(const v1::Model& model, bool of_head) {
  std::vector<std::string> names;
  for (const std::string& name : model.ignored_tensors()) {
    const bool is_of_head = !model.head_name().empty() && absl::StartsWith(name, model.head_name() + ".");
    if (is_of_head == of_head) names.push_back(OneLine(name));
  }
  return absl::StrJoin(names, ", ");
}

}  // namespace

std::string ModelTable(const std::vector<v1::Model>& models, absl::Time now, const Style& style) {
  if (models.empty()) return "No models yet. Import one: attune models import DIRECTORY --id NAME\n";
  Table table({{"MODEL"},
               {"ARCHITECTURE"},
               {"PARAMETERS", Align::kRight},
               {"SIZE", Align::kRight},
               {"INPUT", Align::kRight},
               {"CREATED"},
               {"NAME"}});
  for (const v1::Model& model : models) {
    table.AddRow({client::ShortName(model.name()), model.architecture(), Count(model.parameter_count()),
                  Bytes(model.size_bytes()), Input(model), Ago(ToTime(model.create_time()), now),
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
                           {"takes", model.modality() == "image" ? "images" : "text"},
                           {model.modality() == "image" ? "image size" : "max length", Input(model)},
                           {"other sizes", OtherSizes(model)},
                           {"layer groups", absl::StrJoin(model.layer_groups(), ", ")},
                           {"old head", IgnoredTensors(model, true)},
                           {"not used", IgnoredTensors(model, false)},
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
  Table table({{"ARCHITECTURE"}, {"TAKES"}, {"TASKS"}, {"DESCRIPTION"}});
  for (const v1::Architecture& architecture : architectures.architectures()) {
    table.AddRow({architecture.name(), architecture.modality(), absl::StrJoin(architecture.tasks(), ", "), OneLine(architecture.description())});
  }
  return table.Render(style);
}

}  // namespace attune::cli
