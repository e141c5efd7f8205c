// attune-server's command line. Precedence: flag, then configuration file (--config), then default. Pure but for reading that file.
// Errors: INVALID_ARGUMENT (or NOT_FOUND for the file), with what to do.
//
//   ATTUNE_ASSIGN_OR_RETURN(CommandLine command, ParseCommandLine({argv + 1, argv + argc}));
//   if (command.print.has_value()) { std::cout << *command.print; return 0; }
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/main/options.h"

namespace attune {

inline constexpr char kServerVersion[] = ATTUNE_VERSION;

struct CommandLine {
  std::optional<std::string> print;  // for --help and --version: print this and end
  bool check = false;                // --check: look at the data directory and end
  ServerOptions options;             // checked
};

absl::StatusOr<CommandLine> ParseCommandLine(std::vector<std::string> arguments);

}  // namespace attune
