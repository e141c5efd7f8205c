#include "client/cli/render/dataset_text.h"

#include <algorithm>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "client/cli/render/bars.h"
#include "client/cli/render/format.h"
#include "client/cli/render/table.h"
#include "client/cpp/names.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int kBarWidth = 30;
constexpr int kLabelsShown = 20;

const char* KindName(v1::LabelKind kind) {
  switch (kind) {
    case v1::LABEL_KIND_SINGLE_LABEL:
      return "single label";
    case v1::LABEL_KIND_MULTI_LABEL:
      return "multi-label";
    case v1::LABEL_KIND_REGRESSION:
      return "regression";
    default:
      return "-";
  }
}

std::string StateName(const v1::Dataset& dataset, const Style& style) {
  switch (dataset.state()) {
    case v1::Dataset::STATE_READY:
      return Paint(style, Colour::kGreen, "READY");
    case v1::Dataset::STATE_FAILED:
      return Paint(style, Colour::kRed, "FAILED");
    case v1::Dataset::STATE_IMPORTING:
      return Paint(style, Colour::kCyan, "IMPORTING");
    default:
      return "-";
  }
}

int64_t Rows(const v1::Dataset& dataset, v1::Split split) {
  for (const v1::SplitReport& report : dataset.report().splits()) {
    if (report.split() == split) return report.rows();
  }
  return 0;
}

// A row for each label and a column for each split, with a bar for the share in training.
std::string LabelTable(const v1::Dataset& dataset, const Style& style) {
  const v1::ImportReport& report = dataset.report();
  std::vector<Column> columns = {{"LABEL"}};
  std::map<std::string, int64_t> first_counts;
  for (const v1::SplitReport& split : report.splits()) {
    std::string header = SplitName(split.split());
    for (char& c : header) c = static_cast<char>(std::toupper(c));
    columns.push_back({header, Align::kRight});
  }
  columns.push_back({""});
  int64_t most = 1;
  if (report.splits_size() > 0) {
    for (const auto& [label, count] : report.splits(0).label_counts()) most = std::max(most, count);
  }
  Table table(columns);
  for (int i = 0; i < std::min(dataset.labels_size(), kLabelsShown); ++i) {
    std::vector<std::string> row = {OneLine(dataset.labels(i))};
    int64_t first = 0;
    for (const v1::SplitReport& split : report.splits()) {
      auto found = split.label_counts().find(dataset.labels(i));
      const int64_t count = found == split.label_counts().end() ? 0 : found->second;
      if (row.size() == 1) first = count;
      row.push_back(Count(count));
    }
    row.push_back(HistogramBar(static_cast<double>(first) / static_cast<double>(most), kBarWidth, style));
    table.AddRow(row);
  }
  std::string text = table.Render(style);
  if (dataset.labels_size() > kLabelsShown)
    StrAppend(&text, "and ", dataset.labels_size() - kLabelsShown, " more labels\n");
  return text;
}

std::string LengthText(const v1::LengthHistogram& lengths, const Style& style) {
  const char* unit = lengths.unit() == v1::LengthHistogram::UNIT_TOKENS ? "tokens" : "words";
  std::string text = StrCat("Lengths in ", unit, ": median ", Count(lengths.median()), ", 95 % up to ",
                            Count(lengths.p95()), ", longest ", Count(lengths.max()), "\n");
  // Empty buckets at the end say nothing.
  int used = lengths.counts_size();
  while (used > 0 && lengths.counts(used - 1) == 0) --used;
  const int64_t most =
      std::max<int64_t>(1, used == 0 ? 0 : *std::max_element(lengths.counts().begin(), lengths.counts().end()));
  Table table({{"UP TO", Align::kRight}, {"ROWS", Align::kRight}, {""}});
  for (int i = 0; i < used; ++i) {
    const bool open = i >= lengths.upper_bounds_size();
    const std::string bound = !open ? Count(lengths.upper_bounds(i))
                              : lengths.upper_bounds_size() > 0
                                  ? StrCat("over ", Count(lengths.upper_bounds(lengths.upper_bounds_size() - 1)))
                                  : "any";
    table.AddRow({bound, Count(lengths.counts(i)),
                  HistogramBar(static_cast<double>(lengths.counts(i)) / static_cast<double>(most), kBarWidth, style)});
  }
  return table.empty() ? text : text + table.Render(style);
}

// "640" where all are the same, else "320 to 1,024, median 640".
std::string Range(int32_t least, int32_t median, int32_t most) {
  return least == most ? Count(least) : StrCat(Count(least), " to ", Count(most), ", median ", Count(median));
}

std::string ImageText(const v1::ImageReport& images, const Style& style) {
  std::map<std::string, int64_t> formats(images.format_counts().begin(), images.format_counts().end());
  std::vector<std::string> parts;
  for (const auto& [format, count] : formats) parts.push_back(StrCat(Count(count), " ", OneLine(format)));
  return StrCat("Images\n",
                KeyValues({{"width", Range(images.min_width(), images.median_width(), images.max_width())},
                           {"height", Range(images.min_height(), images.median_height(), images.max_height())},
                           {"formats", absl::StrJoin(parts, ", ")},
                           {"size", Bytes(images.total_bytes())}},
                          style));
}

void AddImageFacts(const v1::ImageReport& images, std::vector<std::pair<std::string, std::string>>& facts) {
  if (images.conflicting_labels() > 0)
    facts.emplace_back("conflicts", StrCat(Count(images.conflicting_labels()), " images occur with another label too"));
  if (images.wrong_extensions() > 0)
    facts.emplace_back("endings", StrCat(Count(images.wrong_extensions()), " names end as another format does"));
  if (images.other_files() > 0)
    facts.emplace_back("passed over", StrCat(Count(images.other_files()), " files that are no images"));
}

std::string Base64(std::string_view bytes) {
  std::string text;
  absl::Base64Escape(AbslView(bytes), &text);
  return text;
}

std::string HtmlText(std::string_view text) {
  return absl::StrReplaceAll(OneLine(text), {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string LabelText(const v1::PreviewRow& row) {
  return row.labels_size() > 0 ? absl::StrJoin(row.labels(), " | ") : Number(row.value());
}

std::string LeftOut(const v1::ImportReport& report) {
  std::map<std::string, int64_t> sorted(report.issue_counts().begin(), report.issue_counts().end());
  std::vector<std::string> parts;
  for (const auto& [kind, count] : sorted) {
    std::string words = kind;
    std::replace(words.begin(), words.end(), '_', ' ');
    parts.push_back(StrCat(Count(count), " ", words));
  }
  return absl::StrJoin(parts, ", ");
}

std::string ImagePreviewTable(const v1::PreviewRowsResponse& preview, const Style& style) {
  Table table({{"IMAGE"}, {"LABEL"}, {"SIZE", Align::kRight}});
  for (const v1::PreviewRow& row : preview.rows())
    table.AddRow({OneLine(row.entry()), OneLine(LabelText(row)), StrCat(row.width(), " x ", row.height())});
  return table.Render(style);
}

}  // namespace

std::string SplitName(v1::Split split) {
  switch (split) {
    case v1::SPLIT_TRAIN:
      return "train";
    case v1::SPLIT_VALIDATION:
      return "validation";
    case v1::SPLIT_TEST:
      return "test";
    default:
      return "-";
  }
}

std::string DatasetTable(const std::vector<v1::Dataset>& datasets, absl::Time now, const Style& style) {
  if (datasets.empty())
    return "No datasets yet. Upload one: attune datasets upload FILE.csv --id NAME, or a folder or archive of images\n";
  Table table({{"DATASET"},
               {"STATE"},
               {"HOLDS"},
               {"LABELS"},
               {"TRAIN", Align::kRight},
               {"VALIDATION", Align::kRight},
               {"TEST", Align::kRight},
               {"CREATED"},
               {"NAME"}});
  for (const v1::Dataset& dataset : datasets) {
    const std::string labels = dataset.labels_size() > 0
                                   ? StrCat(dataset.labels_size(), " (", KindName(dataset.label_kind()), ")")
                                   : KindName(dataset.label_kind());
    table.AddRow({client::ShortName(dataset.name()), StateName(dataset, style),
                  dataset.modality() == "image" ? "images" : "texts", labels, Count(Rows(dataset, v1::SPLIT_TRAIN)),
                  Count(Rows(dataset, v1::SPLIT_VALIDATION)), Count(Rows(dataset, v1::SPLIT_TEST)),
                  Ago(ToTime(dataset.create_time()), now), OneLine(dataset.display_name())});
  }
  return table.Render(style);
}

std::string DatasetReport(const v1::Dataset& dataset, const Style& style) {
  const v1::ImportReport& report = dataset.report();
  const bool is_images = dataset.modality() == "image";
  const char* things = is_images ? "images" : "texts";
  const int64_t left_out = report.rows_read() - report.rows_used();
  std::string text = StrCat(Paint(style, Colour::kBold, dataset.name()), "  ", StateName(dataset, style), "\n");
  std::vector<std::pair<std::string, std::string>> facts = {{"name", OneLine(dataset.display_name())},
                                                            {"error", OneLine(dataset.error())}};
  facts.emplace_back("rows", StrCat(Count(report.rows_used()), " used of ", Count(report.rows_read()), " read"));
  if (left_out > 0) facts.emplace_back("left out", StrCat(Count(left_out), ": ", LeftOut(report)));
  for (const v1::SplitReport& split : report.splits())
    facts.emplace_back(SplitName(split.split()), StrCat(Count(split.rows()), is_images ? " images" : " rows"));
  facts.emplace_back("labels",
                     StrCat(KindName(dataset.label_kind()), dataset.has_text_pair() ? ", pairs of texts" : ""));
  if (report.duplicates_across_splits() > 0) {
    facts.emplace_back("duplicates",
                       StrCat(Count(report.duplicates_across_splits()), " ", things, " occur in more than one split"));
  }
  if (report.duplicates_within_split() > 0) {
    facts.emplace_back("repeated", StrCat(Count(report.duplicates_within_split()), " rows repeat ",
                                          is_images ? "an image" : "a text", " of their split"));
  }
  AddImageFacts(report.images(), facts);
  if (dataset.has_create_time()) facts.emplace_back("created", DateAndTime(ToTime(dataset.create_time())));
  StrAppend(&text, KeyValues(facts, style));
  if (dataset.labels_size() > 0 && report.splits_size() > 0) StrAppend(&text, "\n", LabelTable(dataset, style));
  if (report.has_lengths()) StrAppend(&text, "\n", LengthText(report.lengths(), style));
  if (report.images().total_bytes() > 0) StrAppend(&text, "\n", ImageText(report.images(), style));
  if (report.issues_size() > 0)
    StrAppend(&text, "\n", is_images ? "Images" : "Rows", " to look at\n", IssueList(report, 10, style));
  return text;
}

std::string IssueList(const v1::ImportReport& report, int limit, const Style& style) {
  std::string text;
  int shown = 0;
  for (const v1::RowIssue& issue : report.issues()) {
    if (shown == limit) break;
    ++shown;
    const std::string column = issue.column().empty() ? "" : StrCat(" column ", OneLine(issue.column()));
    const std::string entry = issue.entry().empty() ? "" : StrCat(": ", OneLine(issue.entry()));
    const std::string line = issue.line() == 0 ? "" : StrCat(":", issue.line());
    StrAppend(&text, "  ", Paint(style, Colour::kYellow, StrCat(OneLine(issue.filename()), entry, line)), column, ": ",
              OneLine(issue.message()), "\n");
  }
  int64_t all = 0;
  for (const auto& [kind, count] : report.issue_counts()) all += count;
  all = std::max<int64_t>(all, report.issues_size());
  if (all > shown) StrAppend(&text, "  and ", Count(all - shown), " more\n");
  return text;
}

std::string PreviewHtml(const v1::PreviewRowsResponse& preview, const std::string& title) {
  std::string html = StrCat("<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>", HtmlText(title),
                            "</title>\n<style>body { font-family: sans-serif } figure { display: inline-block; margin: "
                            "8px; width: 160px; vertical-align: top; overflow-wrap: anywhere } figcaption { font-size: "
                            "12px }</style></head><body>\n<h1>",
                            HtmlText(title), "</h1>\n");
  for (const v1::PreviewRow& row : preview.rows()) {
    StrAppend(&html, "<figure>");
    if (!row.thumbnail().empty())
      StrAppend(&html, "<img alt=\"\" src=\"data:image/png;base64,", Base64(row.thumbnail()), "\">");
    StrAppend(&html, "<figcaption><b>", HtmlText(LabelText(row)), "</b><br>",
              HtmlText(row.width() > 0 ? row.entry() : row.input().text()));
    if (row.width() > 0) StrAppend(&html, "<br>", row.width(), " x ", row.height());
    StrAppend(&html, "</figcaption></figure>\n");
  }
  return html + "</body></html>\n";
}

std::string PreviewTable(const v1::PreviewRowsResponse& preview, const Style& style) {
  if (preview.rows_size() > 0 && preview.rows(0).width() > 0) return ImagePreviewTable(preview, style);
  bool pairs = false, tokens = false;
  for (const v1::PreviewRow& row : preview.rows()) {
    pairs = pairs || !row.input().text_pair().empty();
    tokens = tokens || row.token_ids_size() > 0;
  }
  std::vector<Column> columns = {{"ROW"}, {"LABEL"}, {"TEXT"}};
  if (pairs) columns.push_back({"SECOND TEXT"});
  if (tokens) columns.push_back({"TOKENS"});
  Table table(columns);
  for (const v1::PreviewRow& row : preview.rows()) {
    std::vector<std::string> cells = {StrCat(OneLine(row.filename()), ":", row.line()), OneLine(LabelText(row)),
                                      OneLine(row.input().text())};
    if (pairs) cells.push_back(OneLine(row.input().text_pair()));
    if (tokens) cells.push_back(absl::StrJoin(row.token_ids(), " "));
    table.AddRow(cells);
  }
  return table.Render(style);
}

}  // namespace attune::cli
