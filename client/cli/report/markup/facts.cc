#include "client/cli/report/markup/facts.h"

namespace attune::cli {

Html FactTable(const Facts& facts) {
  Html rows;
  for (const auto& [name, value] : facts) {
    if (value.empty()) continue;
    rows.Add(Element("tr", {}, Join({Element("th", {}, Text(name)), Element("td", {}, Text(value))}))).Add(Html("\n"));
  }
  return Element("table", {{"class", "facts"}}, Element("tbody", {}, rows));
}

}  // namespace attune::cli
