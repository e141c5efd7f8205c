#include "server/datasets/importing/split_draw.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

namespace attune::datasets {
namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15u;

uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// How many rows each stratum gives, by largest remainders. `room` is what it may give at most, and is reduced by that.
std::vector<int64_t> Apportion(const std::vector<int64_t>& sizes, double share, std::vector<int64_t>& room) {
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  int64_t due = std::llround(static_cast<double>(total) * share);
  std::vector<int64_t> given(sizes.size());
  std::vector<std::pair<double, size_t>> remainders;
  for (size_t s = 0; s < sizes.size(); ++s) {
    const double exact = static_cast<double>(sizes[s]) * share;
    // A product that should be whole may come out a little less.
    const double whole = std::floor(exact + 1e-9);
    given[s] = std::min(static_cast<int64_t>(whole), room[s]);
    room[s] -= given[s];
    due -= given[s];
    remainders.emplace_back(std::max(0.0, exact - whole), s);
  }
  std::stable_sort(remainders.begin(), remainders.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [remainder, s] : remainders) {
    if (due <= 0) break;
    if (remainder <= 1e-9 || room[s] == 0) continue;
    ++given[s];
    --room[s];
    --due;
  }
  return given;
}

}  // namespace

uint64_t DrawKey(uint64_t seed, uint64_t row) { return Mix(Mix(seed + kGolden) + (row + 1) * kGolden); }

std::vector<examples::Split> DrawSplits(const std::vector<DrawCandidate>& candidates, const SplitShares& shares) {
  std::vector<examples::Split> splits(candidates.size(), examples::Split::kTrain);
  std::vector<int64_t> sizes;
  for (const DrawCandidate& candidate : candidates) {
    if (candidate.stratum >= sizes.size()) sizes.resize(candidate.stratum + 1);
    ++sizes[candidate.stratum];
  }
  std::vector<int64_t> room = sizes;
  for (int64_t& r : room) r = std::max<int64_t>(0, r - 1);
  std::vector<int64_t> test = Apportion(sizes, shares.test, room);
  std::vector<int64_t> validation = Apportion(sizes, shares.validation, room);

  std::vector<uint32_t> order(candidates.size());
  std::iota(order.begin(), order.end(), 0u);
  std::vector<uint64_t> keys(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) keys[i] = DrawKey(shares.seed, candidates[i].row);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    const auto rank = [&](uint32_t i) {
      return std::tuple(candidates[i].stratum, candidates[i].repeated, keys[i], candidates[i].row);
    };
    return rank(a) < rank(b);
  });
  for (const uint32_t i : order) {
    const uint32_t stratum = candidates[i].stratum;
    if (test[stratum] > 0) {
      --test[stratum];
      splits[i] = examples::Split::kTest;
    } else if (validation[stratum] > 0) {
      --validation[stratum];
      splits[i] = examples::Split::kValidation;
    }
  }
  return splits;
}

}  // namespace attune::datasets
