#include "client/cli/report/report.h"

#include "client/cli/render/format.h"
#include "client/cli/report/curves.h"
#include "client/cli/report/dataset_section.h"
#include "client/cli/report/environment_section.h"
#include "client/cli/report/examples.h"
#include "client/cli/report/figures.h"
#include "client/cli/report/layer_section.h"
#include "client/cli/report/markup/html.h"
#include "client/cli/report/markup/page_style.h"
#include "client/cli/report/spec_section.h"
#include "client/cli/report/summary.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

Html Head(const ReportData& data) {
  return Element(
      "head", {},
      Join({Empty("meta", {{"charset", "utf-8"}}), Html("\n"),
            Empty("meta", {{"http-equiv", "Content-Security-Policy"},
                           {"content", "default-src 'none'; style-src 'unsafe-inline'; img-src data:"}}),
            Html("\n"), Empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}}),
            Html("\n"), Empty("meta", {{"name", "color-scheme"}, {"content", "light dark"}}), Html("\n"),
            Element("title", {}, Text(ReportTitle(data))), Html("\n"), Element("style", {}, PageStyle()), Html("\n")}));
}

Html Figures(const ReportData& data) {
  Html sections;
  if (const v1::Evaluation* evaluation = BestKnownEvaluation(data))
    sections.Add(ClassSection(*evaluation)).Add(ConfusionSection(*evaluation));
  if (data.evaluation.has_value()) sections.Add(CalibrationSection(*data.evaluation));
  return sections;
}

Html Footer(const ReportData& data) {
  return Element("footer", {}, Text(StrCat("Written by attune on ", DateAndTime(data.now), ".")));
}

}  // namespace

std::string ReportPage(const ReportData& data) {
  const Html main = Element(
      "main", {},
      Join({Summary(data), CurvesSection(data), Figures(data), ExampleSection(data), LayerSection(data),
            SpecSection(data), DatasetSection(data), EnvironmentSection(data), WarningSection(data), Footer(data)}));
  const Html page =
      Element("html", {{"lang", "en"}}, Join({Head(data), Html("\n"), Element("body", {}, main), Html("\n")}));
  return StrCat("<!DOCTYPE html>\n", page.text(), "\n");
}

}  // namespace attune::cli
