#include "client/cli/report/dataset_section.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "client/cli/render/dataset_text.h"
#include "client/cli/render/format.h"
#include "client/cli/report/markup/facts.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int kLabelsShown = 100;
constexpr int kIssuesShown = 20;

int64_t CountOf(const v1::SplitReport& split, const std::string& label) {
  auto found = split.label_counts().find(label);
  return found == split.label_counts().end() ? 0 : found->second;
}

Html LabelTable(const v1::Dataset& dataset) {
  const v1::ImportReport& report = dataset.report();
  if (dataset.labels().empty() || report.splits().empty()) return Html();
  std::vector<HtmlColumn> columns = {{"Class"}};
  for (const v1::SplitReport& split : report.splits()) columns.push_back({SplitName(split.split())});
  HtmlTable table(columns);
  for (int i = 0; i < std::min(dataset.labels_size(), kLabelsShown); ++i) {
    std::vector<Html> row = {Text(dataset.labels(i))};
    for (const v1::SplitReport& split : report.splits()) {
      int64_t most = 1;
      for (const auto& [label, count] : split.label_counts()) most = std::max(most, count);
      const int64_t count = CountOf(split, dataset.labels(i));
      row.push_back(Bar(static_cast<double>(count) / static_cast<double>(most), Count(count)));
    }
    table.AddRow(row);
  }
  const int more = dataset.labels_size() - kLabelsShown;
  return Join({table.Render(), more > 0 ? Note(StrCat("and ", Count(more), " more classes")) : Html()});
}

Html LengthTable(const v1::LengthHistogram& lengths) {
  int used = lengths.counts_size();
  while (used > 0 && lengths.counts(used - 1) == 0) --used;
  if (used == 0) return Html();
  const int64_t most = std::max<int64_t>(1, *std::max_element(lengths.counts().begin(), lengths.counts().end()));
  HtmlTable table(
      {{lengths.unit() == v1::LengthHistogram::UNIT_TOKENS ? "Tokens up to" : "Words up to", true}, {"Rows"}});
  for (int i = 0; i < used; ++i) {
    const std::string bound = i < lengths.upper_bounds_size() ? Count(lengths.upper_bounds(i)) : "more";
    table.AddRow({Text(bound),
                  Bar(static_cast<double>(lengths.counts(i)) / static_cast<double>(most), Count(lengths.counts(i)))});
  }
  return table.Render();
}

std::string Range(int32_t least, int32_t median, int32_t most) {
  return least == most ? Count(least) : StrCat(Count(least), " to ", Count(most), ", median ", Count(median));
}

// "2 not utf8, 1 empty text".
std::string Faults(const google::protobuf::Map<std::string, int64_t>& counts) {
  std::map<std::string, int64_t> sorted(counts.begin(), counts.end());
  std::vector<std::string> parts;
  for (const auto& [kind, count] : sorted) {
    std::string words = kind;
    std::replace(words.begin(), words.end(), '_', ' ');
    parts.push_back(StrCat(Count(count), " ", words));
  }
  return absl::StrJoin(parts, ", ");
}

Facts DatasetFacts(const v1::Dataset& dataset) {
  const v1::ImportReport& report = dataset.report();
  const v1::ImageReport& images = report.images();
  const auto positive = [](int64_t count, const std::string& what) {
    return count > 0 ? StrCat(Count(count), " ", what) : "";
  };
  Facts facts = {{"dataset", dataset.name()}, {"name", dataset.display_name()}};
  facts.push_back({"rows", StrCat(Count(report.rows_used()), " used of ", Count(report.rows_read()), " read")});
  for (const v1::SplitReport& split : report.splits())
    facts.push_back({SplitName(split.split()), StrCat(Count(split.rows()), " rows")});
  facts.push_back({"left out or worth a look", Faults(report.issue_counts())});
  facts.push_back({"in more than one split", positive(report.duplicates_across_splits(), "rows")});
  facts.push_back({"repeated within their split", positive(report.duplicates_within_split(), "rows")});
  if (report.has_lengths()) {
    facts.push_back({"lengths", StrCat("median ", Count(report.lengths().median()), ", 95 % up to ",
                                       Count(report.lengths().p95()), ", longest ", Count(report.lengths().max()))});
  }
  if (report.has_images()) {
    facts.push_back({"width", Range(images.min_width(), images.median_width(), images.max_width())});
    facts.push_back({"height", Range(images.min_height(), images.median_height(), images.max_height())});
    facts.push_back({"formats", Faults(images.format_counts())});
    facts.push_back({"size", Bytes(images.total_bytes())});
    facts.push_back({"also with another label", positive(images.conflicting_labels(), "images")});
  }
  return facts;
}

Html IssueTable(const v1::ImportReport& report) {
  if (report.issues().empty()) return Html();
  HtmlTable table({{"Where"}, {"What"}});
  for (int i = 0; i < std::min(report.issues_size(), kIssuesShown); ++i) {
    const v1::RowIssue& issue = report.issues(i);
    std::string where = issue.filename();
    if (!issue.entry().empty()) StrAppend(&where, ": ", issue.entry());
    if (issue.line() > 0) StrAppend(&where, ", line ", Count(issue.line()));
    if (!issue.column().empty()) StrAppend(&where, ", column ", issue.column());
    table.AddRow({Text(where), Text(issue.message())});
  }
  const int more = report.issues_size() - kIssuesShown;
  return Join({Element("h3", {}, Text("What the import found")), table.Render(),
               more > 0 ? Note(StrCat("and ", Count(more), " more; attune datasets show lists them")) : Html()});
}

}  // namespace

Html DatasetSection(const ReportData& data) {
  if (!data.dataset.has_value()) return Html();
  const v1::Dataset& dataset = *data.dataset;
  return Section("dataset", "Dataset",
                 Join({FactTable(DatasetFacts(dataset)), LabelTable(dataset), LengthTable(dataset.report().lengths()),
                       IssueTable(dataset.report())}));
}

}  // namespace attune::cli
