#include "server/training/input/batch_parts.h"

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include <ATen/TensorOperators.h>

#include "absl/strings/str_cat.h"
#include "server/training/input/replay_batches.h"

namespace attune::training {
namespace {

struct Rows {
  int64_t first = 0, count = 0;
};

// Tokens of each text; of images 1.
std::vector<int64_t> Sizes(const Batch& batch) {
  if (batch.text.runs.empty()) return std::vector<int64_t>(static_cast<size_t>(batch.rows), 1);
  std::vector<int64_t> sizes;
  for (const LengthRun& run : batch.text.runs) sizes.insert(sizes.end(), static_cast<size_t>(run.count), run.length);
  return sizes;
}

// The part's share of the rows from `first` to `end`, by their sizes. With `each` no part is empty.
Rows Share(const std::vector<int64_t>& sizes, int64_t first, int64_t end, int part, int parts, bool each) {
  int64_t total = 0;
  for (int64_t row = first; row < end; ++row) total += sizes[row];
  Rows rows = {first, 0};
  int64_t before = 0, next = first;
  for (int i = 0; i <= part; ++i) {
    rows.first = next;
    const int64_t most = each ? end - (parts - 1 - i) : end;  // the later ones need a row too
    // A row belongs to the part that its middle lies in.
    while (next < most && ((2 * before + sizes[next]) * parts <= 2 * total * (i + 1) || (each && next == rows.first))) before += sizes[next++];
    if (i == parts - 1) next = end;
  }
  rows.count = next - rows.first;
  return rows;
}

TextBatch Cut(const TextBatch& text, const Rows& rows) {
  TextBatch out;
  int64_t first_token = -1;
  for (const LengthRun& run : text.runs) {
    const int64_t begin = std::max(rows.first, run.first_sequence), end = std::min(rows.first + rows.count, run.first_sequence + run.count);
    if (begin >= end) continue;
    if (first_token < 0) first_token = run.first_token + (begin - run.first_sequence) * run.length;
    out.runs.push_back({out.sequences, out.tokens, end - begin, run.length});
    out.sequences += end - begin;
    out.tokens += (end - begin) * run.length;
  }
  out.token_ids = text.token_ids.narrow(0, first_token, out.tokens);
  out.type_ids = text.type_ids.narrow(0, first_token, out.tokens);
  out.position_ids = text.position_ids.narrow(0, first_token, out.tokens);
  out.first_token = text.first_token.narrow(0, rows.first, rows.count) - first_token;
  out.truncated.assign(text.truncated.begin() + rows.first, text.truncated.begin() + rows.first + rows.count);
  return out;
}

at::Tensor Cut(const at::Tensor& tensor, const Rows& rows) { return tensor.defined() ? tensor.narrow(0, rows.first, rows.count) : tensor; }

// Rows of one dataset; `first_of_labels`: the row that its targets begin with.
Batch Cut(const Batch& batch, const Batch& labels, const Rows& rows, int64_t first_of_labels) {
  Batch out;
  out.rows = rows.count;
  out.example_indices.assign(batch.example_indices.begin() + rows.first, batch.example_indices.begin() + rows.first + rows.count);
  const Rows own = {rows.first - first_of_labels, rows.count};
  out.targets = Cut(labels.targets, own);
  out.mixed_targets = Cut(labels.mixed_targets, own);
  out.mix = labels.mix;
  if (!batch.text.runs.empty()) out.text = Cut(batch.text, rows);
  out.pixels = Cut(batch.pixels, rows);
  out.prefix_output = Cut(batch.prefix_output, rows);
  out.prefix_groups = batch.prefix_groups;
  return out;
}

}  // namespace

Batch PartOf(const Batch& batch, int part, int parts) {
  if (parts < 1 || parts > OwnRows(batch) || part < 0 || part >= parts) throw std::logic_error(absl::StrCat("a batch of ", batch.rows, " rows has no part ", part, " of ", parts));
  if (parts == 1) return batch;
  const int64_t own = OwnRows(batch);
  const std::vector<int64_t> sizes = Sizes(batch);
  Batch first = Cut(batch, batch, Share(sizes, 0, own, part, parts, /*each=*/true), 0);
  if (batch.replay == nullptr) return first;
  const Rows rows = Share(sizes, own, batch.rows, part, parts, /*each=*/false);
  return rows.count == 0 ? first : Concatenate(first, Cut(batch, *batch.replay, rows, own));
}

}  // namespace attune::training
