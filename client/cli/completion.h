// Completion scripts for shells, generated from the tree of commands itself, so that they cannot go stale. Pure.
#pragma once

#include <string>
#include <vector>

#include "CLI/CLI.hpp"

namespace attune::cli {

// An option as shells need it.
struct CompletionOption {
  std::vector<std::string> names;  // "--output", "-q"
  std::string description;
  bool takes_value = false;
  bool is_path = false;              // the value is a file or directory
  std::vector<std::string> choices;  // of the value
};

// A command: its words ("jobs create"; empty for the root), what may follow.
struct CompletionCommand {
  std::string path;
  std::string description;
  std::vector<std::string> subcommands;
  std::vector<CompletionOption> options;
  bool takes_paths = false;  // has an argument that is a file or directory
};

// All commands, parents first.
std::vector<CompletionCommand> CompletionCommands(const CLI::App& root);

std::string BashCompletion(const CLI::App& root);
std::string ZshCompletion(const CLI::App& root);
std::string FishCompletion(const CLI::App& root);

}  // namespace attune::cli
