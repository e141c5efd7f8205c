// IssueLog: the faults of an import, counted by kind; the first 100 in full. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "attune/v1/dataset.pb.h"
#include "server/datasets/formats/row.h"

namespace attune::datasets {

// "not_utf8"
std::string IssueName(v1::RowIssue::Kind kind);

class IssueLog {
 public:
  static constexpr size_t kKept = 100;

  // A row that is left out.
  void Add(const RowFault& fault, const std::string& filename, int64_t line);
  // A row that stays, but deserves a look: listed while there is room, not counted.
  void Note(const RowFault& fault, const std::string& filename, int64_t line);
  // Whether another issue would be listed.
  bool has_room() const { return issues_.size() < kKept; }

  int64_t bad_rows() const { return bad_rows_; }
  // "12 not_utf8, 3 ragged_row"
  std::string Summary() const;
  const std::vector<v1::RowIssue>& issues() const { return issues_; }
  // Sets issues and issue_counts.
  void WriteTo(v1::ImportReport& report) const;

 private:
  std::array<int64_t, v1::RowIssue::Kind_ARRAYSIZE> counts_{};
  std::vector<v1::RowIssue> issues_;
  int64_t bad_rows_ = 0;
};

// "train.csv line 7, column 'text': the text is empty ..."
std::string Describe(const v1::RowIssue& issue);

}  // namespace attune::datasets
