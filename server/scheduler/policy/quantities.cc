#include "server/scheduler/policy/quantities.h"

#include <cstdio>

#include "server/base/str_cat.h"

namespace attune::scheduler {
namespace {

std::string OneDecimal(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), value < 10 ? "%.1f" : "%.0f", value);
  return text;
}

}  // namespace

std::string BinaryBytes(int64_t bytes) {
  const double mebibytes = static_cast<double>(bytes) / (1 << 20);
  return mebibytes < 1000 ? StrCat(OneDecimal(mebibytes), " MiB") : StrCat(OneDecimal(mebibytes / 1024), " GiB");
}

std::string AboutSeconds(double seconds) {
  if (seconds < 90) return StrCat(OneDecimal(seconds), " s");
  if (seconds < 90 * 60) return StrCat(OneDecimal(seconds / 60), " min");
  return StrCat(OneDecimal(seconds / 3600), " h");
}

}  // namespace attune::scheduler
