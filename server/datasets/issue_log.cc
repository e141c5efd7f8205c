#include "server/datasets/issue_log.h"

#include "absl/strings/ascii.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {

std::string IssueName(v1::RowIssue::Kind kind) {
  constexpr std::string_view kPrefix = "KIND_";
  return absl::AsciiStrToLower(v1::RowIssue::Kind_Name(kind).substr(kPrefix.size()));
}

void IssueLog::Add(const RowFault& fault, const std::string& filename, int64_t line) {
  ++bad_rows_;
  ++counts_[static_cast<size_t>(fault.kind)];
  Note(fault, filename, line);
}

void IssueLog::Note(const RowFault& fault, const std::string& filename, int64_t line) {
  if (!has_room()) return;
  v1::RowIssue& issue = issues_.emplace_back();
  issue.set_kind(fault.kind);
  issue.set_filename(filename);
  issue.set_line(line);
  issue.set_column(fault.column);
  issue.set_message(fault.message);
}

std::string IssueLog::Summary() const {
  std::string out;
  for (size_t kind = 0; kind < counts_.size(); ++kind) {
    if (counts_[kind] == 0) continue;
    StrAppend(&out, out.empty() ? "" : ", ", counts_[kind], " ", IssueName(static_cast<v1::RowIssue::Kind>(kind)));
  }
  return out;
}

void IssueLog::WriteTo(v1::ImportReport& report) const {
  report.clear_issues();
  for (const v1::RowIssue& issue : issues_) *report.add_issues() = issue;
  report.clear_issue_counts();
  for (size_t kind = 0; kind < counts_.size(); ++kind) {
    if (counts_[kind] > 0)
      (*report.mutable_issue_counts())[IssueName(static_cast<v1::RowIssue::Kind>(kind))] = counts_[kind];
  }
}

std::string Describe(const v1::RowIssue& issue) {
  return StrCat(issue.filename(), " line ", issue.line(),
                issue.column().empty() ? "" : StrCat(", column ", Quoted(issue.column())), ": ", issue.message());
}

}  // namespace attune::datasets
