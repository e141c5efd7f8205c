// How text for people is decorated: colours (none when NO_COLOR is set or the output is no terminal), Unicode or ASCII
// graphics, and the width to fit into. A value that every rendering function takes; pure.
//
//   out << Paint(style, Colour::kGreen, "SUCCEEDED");
#pragma once

#include <string>
#include <string_view>

namespace attune::cli {

struct Style {
  bool colour = false;
  bool unicode = true;
  int width = 0;  // columns; 0: no limit
};

enum class Colour { kBold, kDim, kRed, kGreen, kYellow, kCyan };

// `text` between the ANSI codes of `colour`, or as it is without colours.
std::string Paint(const Style& style, Colour colour, std::string_view text);

}  // namespace attune::cli
