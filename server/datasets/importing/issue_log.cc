#include "server/datasets/importing/issue_log.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {
namespace {

constexpr size_t kShownEntryBytes = 300;

v1::RowIssue MakeIssue(const RowFault& fault, const RowPlace& place) {
  v1::RowIssue issue;
  issue.set_kind(fault.kind);
  issue.set_filename(std::string(place.filename));
  issue.set_line(place.line);
  issue.set_column(fault.column);
  issue.set_message(fault.message);
  issue.set_entry(Printable(place.entry, kShownEntryBytes));
  return issue;
}

}  // namespace

std::string IssueName(v1::RowIssue::Kind kind) {
  constexpr std::string_view kPrefix = "KIND_";
  return absl::AsciiStrToLower(v1::RowIssue::Kind_Name(kind).substr(kPrefix.size()));
}

void IssueLog::Add(const RowFault& fault, const RowPlace& place) {
  ++bad_rows_;
  ++counts_[static_cast<size_t>(fault.kind)];
  if (issues_.size() < kKept) issues_.push_back(MakeIssue(fault, place));
}

void IssueLog::Note(const RowFault& fault, const RowPlace& place) {
  if (has_room()) notes_.push_back(MakeIssue(fault, place));
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
  for (size_t i = 0; i < std::min(notes_.size(), kKept - issues_.size()); ++i) *report.add_issues() = notes_[i];
  report.clear_issue_counts();
  for (size_t kind = 0; kind < counts_.size(); ++kind) {
    if (counts_[kind] > 0)
      (*report.mutable_issue_counts())[IssueName(static_cast<v1::RowIssue::Kind>(kind))] = counts_[kind];
  }
}

std::string Describe(const v1::RowIssue& issue) {
  return StrCat(issue.filename(), issue.entry().empty() ? "" : ": ", issue.entry(),
                issue.line() == 0 ? "" : StrCat(" line ", issue.line()),
                issue.column().empty() ? "" : StrCat(", column ", Quoted(issue.column())), ": ", issue.message());
}

}  // namespace attune::datasets
