// The report's style sheet: colours for light and dark, tables, bars, charts, cards, print. Pure.
#pragma once

#include "client/cli/report/markup/html.h"

namespace attune::cli {

Html PageStyle();

}  // namespace attune::cli
