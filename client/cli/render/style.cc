#include "client/cli/render/style.h"

#include "server/base/str_cat.h"

namespace attune::cli {

std::string Paint(const Style& style, Colour colour, std::string_view text) {
  if (!style.colour || text.empty()) return std::string(text);
  const char* code = "0";
  switch (colour) {
    case Colour::kBold:
      code = "1";
      break;
    case Colour::kDim:
      code = "2";
      break;
    case Colour::kRed:
      code = "31";
      break;
    case Colour::kGreen:
      code = "32";
      break;
    case Colour::kYellow:
      code = "33";
      break;
    case Colour::kCyan:
      code = "36";
      break;
  }
  return StrCat("\x1b[", code, "m", text, "\x1b[0m");
}

}  // namespace attune::cli
