// IssueLog: the faults of an import, counted by kind; the first 100 in full. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attune/v1/dataset.pb.h"
#include "server/datasets/formats/row.h"

namespace attune::datasets {

// "not_utf8"
std::string IssueName(v1::RowIssue::Kind kind);

// Where a row comes from: a line of a file, an entry of an archive, or a line of a manifest in an archive.
struct RowPlace {
  std::string_view filename;  // as uploaded
  int64_t line = 0;           // 1-based; 0: none
  std::string_view entry;     // any bytes; empty: none
};

class IssueLog {
 public:
  static constexpr size_t kKept = 100;

  // A row that is left out.
  void Add(const RowFault& fault, const RowPlace& place);
  // A row that stays, but deserves a look: not counted, and listed after all those that are left out, while there is
  // room.
  void Note(const RowFault& fault, const RowPlace& place);
  // Whether another issue would be listed.
  bool has_room() const { return issues_.size() + notes_.size() < kKept; }

  int64_t bad_rows() const { return bad_rows_; }
  // "12 not_utf8, 3 ragged_row"
  std::string Summary() const;
  // Of rows that are left out.
  const std::vector<v1::RowIssue>& issues() const { return issues_; }
  // Sets issues, with the notes, and issue_counts.
  void WriteTo(v1::ImportReport& report) const;

 private:
  std::array<int64_t, v1::RowIssue::Kind_ARRAYSIZE> counts_{};
  std::vector<v1::RowIssue> issues_, notes_;
  int64_t bad_rows_ = 0;
};

// "train.csv line 7, column 'text': the text is empty ...", "photos.tar: train/cat/1.jpg: the file is ..."
std::string Describe(const v1::RowIssue& issue);

}  // namespace attune::datasets
