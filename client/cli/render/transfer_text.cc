#include "client/cli/render/transfer_text.h"

#include <algorithm>

#include "client/cli/render/bars.h"
#include "client/cli/render/format.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int kBarWidth = 24;
constexpr double kEnoughSeconds = 0.5;  // before that a rate is noise

std::string Amount(const TransferState& state, int64_t value) { return state.bytes ? Bytes(value) : Count(value); }

std::string AmountText(const TransferState& state) {
  if (state.total > 0) return StrCat(Amount(state, state.done), " of ", Amount(state, state.total));
  return state.bytes ? Amount(state, state.done) : StrCat(Amount(state, state.done), " rows");
}

}  // namespace

double TransferFraction(const TransferState& state) {
  if (state.total <= 0) return std::clamp(state.fraction, 0.0, 1.0);
  return std::clamp(static_cast<double>(state.done) / static_cast<double>(state.total), 0.0, 1.0);
}

std::string TransferBar(const TransferState& state, const Style& style) {
  const double fraction = TransferFraction(state);
  std::string text = StrCat(state.verb, " ", OneLine(state.name), "  ", ProgressBar(fraction, kBarWidth, style), "  ",
                            static_cast<int>(fraction * 100), " %  ", AmountText(state));
  if (state.bytes && state.seconds >= kEnoughSeconds && state.done > 0) {
    const double rate = static_cast<double>(state.done) / state.seconds;
    StrAppend(&text, "  ", Bytes(static_cast<int64_t>(rate)), "/s");
    if (state.total > state.done)
      StrAppend(&text, "  ", Remaining(static_cast<double>(state.total - state.done) / rate), " to go");
  }
  return style.width > 0 ? Fit(text, style.width - 1, style.unicode) : text;
}

std::string TransferLine(const TransferState& state) {
  return StrCat(state.verb, " ", OneLine(state.name), ": ", static_cast<int>(TransferFraction(state) * 100), " % (",
                AmountText(state), ")");
}

}  // namespace attune::cli
