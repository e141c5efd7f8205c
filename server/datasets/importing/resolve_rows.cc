#include "server/datasets/importing/resolve_rows.h"

#include <algorithm>
#include <numeric>

namespace attune::datasets {
namespace {

using examples::LabelKind;
using examples::Split;

size_t Index(Split split) { return static_cast<size_t>(split); }

// Positions of the rows, equal texts side by side, each in the order of the files.
std::vector<uint32_t> ByText(const std::vector<RowEntry>& rows) {
  std::vector<uint32_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return rows[a].digest != rows[b].digest ? rows[a].digest < rows[b].digest : a < b;
  });
  return order;
}

// Calls visit(first, last) for each run of rows with the same text.
template <typename Visit>
void ForEachText(const std::vector<RowEntry>& rows, const std::vector<uint32_t>& by_text, Visit&& visit) {
  for (auto first = by_text.begin(); first != by_text.end();) {
    const auto last =
        std::find_if(first, by_text.end(), [&](uint32_t i) { return rows[i].digest != rows[*first].digest; });
    visit(first, last);
    first = last;
  }
}

// The stratum of each combination: its class; of several classes the one with the fewest rows; a stratum of its own for
// rows without any.
std::vector<uint32_t> Strata(const RowTable& table, const std::vector<uint32_t>& candidates) {
  const auto& names = table.labels.names();
  const auto& combinations = table.labels.combinations();
  std::vector<uint32_t> rank(names.size());
  const std::vector<uint32_t> order = ClassOrder(names);
  for (uint32_t i = 0; i < order.size(); ++i) rank[order[i]] = i;
  std::vector<int64_t> counts(names.size());
  for (const uint32_t i : candidates) {
    for (const uint32_t label : combinations[table.rows[i].labels]) ++counts[label];
  }
  std::vector<uint32_t> strata;
  for (const std::vector<uint32_t>& labels : combinations) {
    const auto rarest = std::min_element(labels.begin(), labels.end(), [&](uint32_t a, uint32_t b) {
      return std::pair(counts[a], rank[a]) < std::pair(counts[b], rank[b]);
    });
    strata.push_back(rarest == labels.end() ? static_cast<uint32_t>(names.size()) : rank[*rarest]);
  }
  return strata;
}

std::vector<bool> LabelsOfTraining(const RowTable& table) {
  std::vector<bool> seen(table.labels.names().size());
  for (const RowEntry& row : table.rows) {
    if (row.split != Split::kTrain || table.kind == LabelKind::kRegression) continue;
    for (const uint32_t label : table.labels.combinations()[row.labels]) seen[label] = true;
  }
  return seen;
}

bool AllIn(const std::vector<uint32_t>& labels, const std::vector<bool>& seen) {
  return std::all_of(labels.begin(), labels.end(), [&](uint32_t label) { return seen[label]; });
}

// Draws the splits that the user did not give from the rows that are in training or nowhere. Rows that are nowhere
// afterwards are in training.
void Draw(SplitShares shares, const std::vector<uint32_t>& by_text, RowTable& table) {
  std::vector<uint32_t> candidates;
  for (uint32_t i = 0; i < table.rows.size(); ++i) {
    const auto& split = table.rows[i].split;
    if (split == Split::kValidation) shares.validation = 0;
    if (split == Split::kTest) shares.test = 0;
    if (!split || split == Split::kTrain) candidates.push_back(i);
  }
  for (const uint32_t i : candidates) table.rows[i].split = Split::kTrain;
  if (shares.validation == 0 && shares.test == 0) return;

  std::vector<bool> repeated(table.rows.size());
  ForEachText(table.rows, by_text, [&](auto first, auto last) {
    if (last - first > 1) std::for_each(first, last, [&](uint32_t i) { repeated[i] = true; });
  });
  const bool classes = table.kind != LabelKind::kRegression;
  const std::vector<uint32_t> strata = classes ? Strata(table, candidates) : std::vector<uint32_t>{0};
  std::vector<DrawCandidate> draw;
  draw.reserve(candidates.size());
  for (const uint32_t i : candidates)
    draw.push_back({table.rows[i].row, strata[classes ? table.rows[i].labels : 0], repeated[i]});
  const std::vector<Split> splits = DrawSplits(draw, shares);
  for (size_t i = 0; i < candidates.size(); ++i) table.rows[candidates[i]].split = splits[i];

  // With several labels a row, a draw by one of them may take the last row of another.
  if (!classes) return;
  std::vector<bool> seen = LabelsOfTraining(table);
  for (size_t i = 0; i < candidates.size(); ++i) {
    const auto& labels = table.labels.combinations()[table.rows[candidates[i]].labels];
    if (splits[i] == Split::kTrain || AllIn(labels, seen)) continue;
    table.rows[candidates[i]].split = Split::kTrain;
    for (const uint32_t label : labels) seen[label] = true;
  }
}

void SettleClasses(RowTable& table, Resolution& resolution) {
  if (table.kind == LabelKind::kRegression) return;
  const std::vector<bool> seen = LabelsOfTraining(table);
  std::vector<int32_t> index(seen.size(), -1);
  for (const uint32_t label : ClassOrder(table.labels.names())) {
    if (!seen[label]) continue;
    index[label] = static_cast<int32_t>(resolution.classes.size());
    resolution.classes.push_back(table.labels.names()[label]);
  }
  std::vector<bool> usable;
  for (const std::vector<uint32_t>& labels : table.labels.combinations()) {
    std::vector<int32_t> indices;
    for (const uint32_t label : labels) {
      if (index[label] >= 0) indices.push_back(index[label]);
    }
    std::sort(indices.begin(), indices.end());
    usable.push_back(indices.size() == labels.size());
    resolution.class_indices.push_back(std::move(indices));
  }
  for (RowEntry& row : table.rows) {
    row.left_out = !usable[row.labels];
    resolution.unseen += static_cast<int64_t>(row.left_out);
  }
}

void Count(const RowTable& table, Resolution& resolution) {
  for (auto& counts : resolution.class_counts) counts.assign(resolution.classes.size(), 0);
  for (const RowEntry& row : table.rows) {
    if (row.left_out) continue;
    const size_t split = Index(*row.split);
    ++resolution.rows[split];
    if (table.kind == LabelKind::kRegression) continue;
    for (const int32_t c : resolution.class_indices[row.labels])
      ++resolution.class_counts[split][static_cast<size_t>(c)];
  }
}

void KeepFirst(std::vector<Resolution::Repeat>& repeats) {
  std::sort(repeats.begin(), repeats.end(), [](const auto& a, const auto& b) { return a.row < b.row; });
  if (repeats.size() > IssueLog::kKept) repeats.resize(IssueLog::kKept);
}

void FindDuplicates(const RowTable& table, const std::vector<uint32_t>& by_text, Resolution& resolution) {
  ForEachText(table.rows, by_text, [&](auto first, auto last) {
    if (last - first < 2) return;
    std::array<int64_t, examples::kSplitCount> count{};
    for (auto i = first; i != last; ++i) {
      if (!table.rows[*i].left_out) ++count[Index(*table.rows[*i].split)];
    }
    int64_t earlier = 0;
    for (const int64_t c : count) {
      if (c > 0) resolution.duplicates_within_split += c - 1;
      if (earlier > 0) resolution.duplicates_across_splits += c;
      earlier += c;
    }
    // The first split that has the text keeps it clean; every later one repeats it.
    const size_t home =
        static_cast<size_t>(std::find_if(count.begin(), count.end(), [](int64_t c) { return c > 0; }) - count.begin());
    const auto at_home = std::find_if(
        first, last, [&](uint32_t i) { return !table.rows[i].left_out && Index(*table.rows[i].split) == home; });
    for (auto i = first; i != last; ++i) {
      if (!table.rows[*i].left_out && Index(*table.rows[*i].split) > home)
        resolution.across_splits.push_back({*i, *at_home});
    }
  });
  KeepFirst(resolution.across_splits);
}

// The same image with two labels: texts may mean different things, a photo is in the wrong folder.
void FindConflicts(const RowTable& table, const std::vector<uint32_t>& by_text, Resolution& resolution) {
  ForEachText(table.rows, by_text, [&](auto first, auto last) {
    first = std::find_if(first, last, [&](uint32_t i) { return !table.rows[i].left_out; });
    for (auto i = first; i != last; ++i) {
      if (table.rows[*i].left_out) continue;
      const bool same =
          table.rows[*i].labels == table.rows[*first].labels && table.images[*i].value == table.images[*first].value;
      if (same) continue;
      ++resolution.conflicting_labels;
      resolution.conflicts.push_back({*i, *first});
    }
  });
  KeepFirst(resolution.conflicts);
}

}  // namespace

Resolution ResolveRows(const SplitShares& shares, RowTable& table) {
  Resolution resolution;
  const std::vector<uint32_t> by_text = ByText(table.rows);
  Draw(shares, by_text, table);
  SettleClasses(table, resolution);
  Count(table, resolution);
  FindDuplicates(table, by_text, resolution);
  if (!table.images.empty()) FindConflicts(table, by_text, resolution);
  return resolution;
}

}  // namespace attune::datasets
