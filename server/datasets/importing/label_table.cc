#include "server/datasets/importing/label_table.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

// An integer in decimal, as a pair that sorts by value: with so many classes at most, digits compare well enough as
// text of equal length.
struct Integer {
  bool negative = false;
  std::string_view digits;  // without leading zeros
};

std::optional<Integer> ParseInteger(std::string_view text) {
  Integer integer;
  if (text.starts_with('-')) {
    integer.negative = true;
    text.remove_prefix(1);
  }
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  integer.digits = text.substr(std::min(text.find_first_not_of('0'), text.size()));
  if (integer.digits.empty()) integer.negative = false;
  return integer;
}

bool Less(const Integer& a, const Integer& b) {
  if (a.negative != b.negative) return a.negative;
  const auto magnitude = [](const Integer& i) { return std::pair(i.digits.size(), i.digits); };
  return a.negative ? magnitude(b) < magnitude(a) : magnitude(a) < magnitude(b);
}

}  // namespace

absl::StatusOr<uint32_t> LabelTable::LabelId(std::string_view name) {
  const auto found = ids_.find(AbslView(name));
  if (found != ids_.end()) return found->second;
  if (name.size() > kMaxLabelBytes) {
    return absl::InvalidArgumentError(StrCat("the label ", Quoted(name), " is ", name.size(),
                                             " bytes long and a class name has ", kMaxLabelBytes,
                                             " at most: set label_column to the column with the classes"));
  }
  if (names_.size() == kMaxLabels) {
    return absl::InvalidArgumentError(StrCat("there are more than ", kMaxLabels,
                                             " different labels: set label_column to the column with the classes, or "
                                             "label_kind to LABEL_KIND_REGRESSION for numbers"));
  }
  const auto id = static_cast<uint32_t>(names_.size());
  names_.emplace_back(name);
  ids_.emplace(names_.back(), id);
  single_.push_back(kNone);
  return id;
}

absl::StatusOr<uint32_t> LabelTable::Add(const std::vector<std::string_view>& names) {
  std::vector<uint32_t> ids;
  if (names.size() == 1) {
    ATTUNE_ASSIGN_OR_RETURN(const uint32_t id, LabelId(names[0]));
    if (single_[id] != kNone) return single_[id];
    ids.push_back(id);
  } else {
    for (const std::string_view name : names) {
      ATTUNE_ASSIGN_OR_RETURN(const uint32_t id, LabelId(name));
      ids.push_back(id);
    }
    std::sort(ids.begin(), ids.end());
  }
  std::string key(reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(uint32_t));
  const auto [entry, inserted] = combination_ids_.emplace(std::move(key), static_cast<uint32_t>(combinations_.size()));
  if (inserted) {
    if (ids.size() == 1) single_[ids[0]] = entry->second;
    combinations_.push_back(std::move(ids));
  }
  return entry->second;
}

std::vector<uint32_t> ClassOrder(const std::vector<std::string>& names) {
  std::vector<uint32_t> order(names.size());
  std::iota(order.begin(), order.end(), 0u);
  std::vector<Integer> integers;
  for (const std::string& name : names) {
    const std::optional<Integer> integer = ParseInteger(name);
    if (!integer) break;
    integers.push_back(*integer);
  }
  const bool numeric = integers.size() == names.size();
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    if (numeric && Less(integers[a], integers[b])) return true;
    if (numeric && Less(integers[b], integers[a])) return false;
    return names[a] < names[b];  // "1" and "01" are different classes
  });
  return order;
}

}  // namespace attune::datasets
