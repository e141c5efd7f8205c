#include "client/cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace attune::cli {
namespace {

std::string Env(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool IsUtf8Locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string value = absl::AsciiStrToLower(Env(name));
    if (!value.empty()) return absl::StrContains(value, "utf-8") || absl::StrContains(value, "utf8");
  }
  return false;
}

int Width(int fd) {
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

Style MakeStyle(bool terminal, int fd) {
  Style style;
  style.colour = terminal && Env("NO_COLOR").empty();
  style.unicode = IsUtf8Locale();
  style.width = terminal ? Width(fd) : 0;
  return style;
}

}  // namespace

Console ProcessConsole() {
  const bool dumb = Env("TERM") == "dumb";
  const bool out = isatty(STDOUT_FILENO) != 0 && !dumb, err = isatty(STDERR_FILENO) != 0 && !dumb;
  return {.in = std::cin,
          .out = std::cout,
          .err = std::cerr,
          .out_is_terminal = out,
          .err_is_terminal = err,
          .out_style = MakeStyle(out, STDOUT_FILENO),
          .err_style = MakeStyle(err, STDERR_FILENO)};
}

}  // namespace attune::cli
