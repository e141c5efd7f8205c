// Console: where the program writes, what those places can show, and the time. Made by main from the process, by tests
// from strings. Not thread-safe unless said otherwise.
#pragma once

#include <istream>
#include <ostream>

#include "client/cli/render/style.h"
#include "server/base/clock.h"

namespace attune::cli {

struct Console {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  Style out_style;
  Style err_style;
  const Clock& clock = Clock::System();
};

// Standard streams. Colours and redrawing on terminals only; NO_COLOR, TERM=dumb and locales without UTF-8 are
// respected.
Console ProcessConsole();

}  // namespace attune::cli
