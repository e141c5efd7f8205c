#include "client/cli/completion.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/app.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

// SetChoices makes them the type's name: "a|b".
std::vector<std::string> Choices(const std::string& type_name) {
  if (type_name.find('|') == std::string::npos) return {};
  return absl::StrSplit(type_name, '|');
}

bool IsPath(const std::string& type_name) { return type_name == "FILE" || type_name == "DIR"; }

void Collect(const CLI::App& app, const std::string& path, std::vector<CompletionCommand>& commands) {
  CompletionCommand command{.path = path, .description = app.get_description()};
  for (const CLI::App* sub : app.get_subcommands({})) command.subcommands.push_back(sub->get_name());
  for (const CLI::Option* option : app.get_options({})) {
    const std::string type_name = option->get_type_name();
    if (option->get_positional()) {
      command.takes_paths = command.takes_paths || IsPath(type_name);
      continue;
    }
    CompletionOption entry{.description = option->get_description()};
    for (const std::string& name : option->get_lnames()) entry.names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) entry.names.push_back("-" + name);
    entry.takes_value = option->get_items_expected_max() > 0;
    entry.is_path = IsPath(type_name);
    entry.choices = Choices(type_name);
    command.options.push_back(std::move(entry));
  }
  commands.push_back(std::move(command));
  for (const CLI::App* sub : app.get_subcommands({}))
    Collect(*sub, path.empty() ? sub->get_name() : StrCat(path, " ", sub->get_name()), commands);
}

// In single quotes for any of the shells.
std::string Quote(std::string text) {
  std::string quoted;
  for (char c : text) {
    if (c == '\n') {
      quoted += ' ';
    } else if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return StrCat("'", quoted, "'");
}

std::vector<std::string> Words(const CompletionCommand& command) {
  std::vector<std::string> words = command.subcommands;
  for (const CompletionOption& option : command.options)
    words.insert(words.end(), option.names.begin(), option.names.end());
  return words;
}

// Lines of a `case` over "PATH OPTION" that tell what a value can be. `choices` and `paths` are the shell's code for
// each kind.
template <typename ChoiceCode>
std::string ValueCases(const std::vector<CompletionCommand>& commands, const std::string& indent, ChoiceCode choices,
                       const std::string& paths, const std::string& nothing) {
  std::string text;
  for (const CompletionCommand& command : commands) {
    for (const CompletionOption& option : command.options) {
      if (!option.takes_value) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : option.names) patterns.push_back(Quote(StrCat(command.path, " ", name)));
      const std::string code = !option.choices.empty() ? choices(option.choices) : option.is_path ? paths : nothing;
      StrAppend(&text, indent, absl::StrJoin(patterns, "|"), ") ", code, " ;;\n");
    }
  }
  return text;
}

// Lines of a `case` over "PATH WORD" whose matches make the path longer.
std::string PathPatterns(const std::vector<CompletionCommand>& commands) {
  std::vector<std::string> patterns;
  for (const CompletionCommand& command : commands) {
    for (const std::string& sub : command.subcommands) patterns.push_back(Quote(StrCat(command.path, " ", sub)));
  }
  return absl::StrJoin(patterns, "|");
}

}  // namespace

std::vector<CompletionCommand> CompletionCommands(const CLI::App& root) {
  std::vector<CompletionCommand> commands;
  Collect(root, "", commands);
  return commands;
}

std::string BashCompletion(const CLI::App& root) {
  const std::vector<CompletionCommand> commands = CompletionCommands(root);
  std::string text = StrCat(
      "# bash completion for attune. To use it: source <(attune completion bash)\n"
      "_attune() {\n"
      "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path='' i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case \"$path ${COMP_WORDS[i]}\" in\n"
      "      ",
      PathPatterns(commands),
      ") path=\"${path:+$path }${COMP_WORDS[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  COMPREPLY=()\n"
      "  case \"$path $prev\" in\n");
  StrAppend(&text, ValueCases(
                       commands, "    ",
                       [](const std::vector<std::string>& choices) {
                         return StrCat("COMPREPLY=($(compgen -W ", Quote(absl::StrJoin(choices, " ")),
                                       " -- \"$cur\")); return");
                       },
                       "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$cur\")); return", "return"));
  StrAppend(&text, "  esac\n  local words='' paths=''\n  case \"$path\" in\n");
  for (const CompletionCommand& command : commands) {
    StrAppend(&text, "    ", Quote(command.path), ") words=", Quote(absl::StrJoin(Words(command), " ")),
              command.takes_paths ? " paths=1" : "", " ;;\n");
  }
  StrAppend(&text,
            "  esac\n"
            "  COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
            "  if [[ -n $paths && $cur != -* ]]; then compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- "
            "\"$cur\")); fi\n"
            "}\n"
            "complete -F _attune attune\n");
  return text;
}

std::string ZshCompletion(const CLI::App& root) {
  const std::vector<CompletionCommand> commands = CompletionCommands(root);
  const auto described = [](const std::string& name, const std::string& description) {
    // The first colon separates the word from its description.
    return Quote(StrCat(absl::StrJoin(absl::StrSplit(name, ':'), "\\:"), ":", description));
  };
  std::string text = StrCat(
      "#compdef attune\n"
      "# zsh completion for attune. To use it: source <(attune completion zsh)\n"
      "_attune() {\n"
      "  local cpath='' i\n"
      "  local -a entries\n"
      "  for ((i = 2; i < CURRENT; i++)); do\n"
      "    case \"$cpath $words[i]\" in\n"
      "      ",
      PathPatterns(commands),
      ") cpath=\"${cpath:+$cpath }$words[i]\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$cpath $words[CURRENT-1]\" in\n");
  StrAppend(&text, ValueCases(
                       commands, "    ",
                       [](const std::vector<std::string>& choices) {
                         return StrCat("compadd -- ", absl::StrJoin(choices, " "), "; return");
                       },
                       "_files; return", "return"));
  StrAppend(&text, "  esac\n  case \"$cpath\" in\n");
  for (const CompletionCommand& command : commands) {
    std::vector<std::string> entries;
    for (const std::string& sub : command.subcommands) {
      const std::string path = command.path.empty() ? sub : StrCat(command.path, " ", sub);
      auto found =
          std::find_if(commands.begin(), commands.end(), [&](const auto& other) { return other.path == path; });
      entries.push_back(described(sub, found->description));
    }
    for (const CompletionOption& option : command.options) {
      for (const std::string& name : option.names) entries.push_back(described(name, option.description));
    }
    StrAppend(&text, "    ", Quote(command.path), ")\n      entries=(", absl::StrJoin(entries, "\n        "), ")\n",
              "      _describe -V attune entries\n", command.takes_paths ? "      _files\n" : "", "      ;;\n");
  }
  StrAppend(&text, "  esac\n}\ncompdef _attune attune\n");
  return text;
}

std::string FishCompletion(const CLI::App& root) {
  const std::vector<CompletionCommand> commands = CompletionCommands(root);
  std::vector<std::string> longer;
  for (const CompletionCommand& command : commands) {
    for (const std::string& sub : command.subcommands) longer.push_back(Quote(StrCat(command.path, " ", sub)));
  }
  std::string text = StrCat(
      "# fish completion for attune. To use it: attune completion fish | source\n"
      "function __attune_at\n"
      "  set -l path ''\n"
      "  for word in (commandline -opc)[2..-1]\n"
      "    switch \"$path $word\"\n"
      "      case ",
      absl::StrJoin(longer, " "),
      "\n"
      "        set path (string trim \"$path $word\")\n"
      "    end\n"
      "  end\n"
      "  test \"$path\" = \"$argv[1]\"\n"
      "end\n"
      "complete -c attune -f\n");
  for (const CompletionCommand& command : commands) {
    const std::string here = StrCat("complete -c attune -n ", Quote(StrCat("__attune_at \"", command.path, "\"")));
    for (const std::string& sub : command.subcommands) {
      const std::string path = command.path.empty() ? sub : StrCat(command.path, " ", sub);
      auto found =
          std::find_if(commands.begin(), commands.end(), [&](const auto& other) { return other.path == path; });
      StrAppend(&text, here, " -a ", sub, " -d ", Quote(found->description), "\n");
    }
    if (command.takes_paths) StrAppend(&text, here, " -F\n");
    for (const CompletionOption& option : command.options) {
      StrAppend(&text, here);
      for (const std::string& name : option.names)
        StrAppend(&text, name[1] == '-' ? StrCat(" -l ", name.substr(2)) : StrCat(" -s ", name.substr(1)));
      if (!option.choices.empty()) {
        StrAppend(&text, " -x -a ", Quote(absl::StrJoin(option.choices, " ")));
      } else if (option.is_path) {
        StrAppend(&text, " -r -F");
      } else if (option.takes_value) {
        StrAppend(&text, " -x");
      }
      StrAppend(&text, " -d ", Quote(option.description), "\n");
    }
  }
  return text;
}

void AddCompletionCommands(CLI::App& root, Session& session) {
  CLI::App* group = AddGroup(root, "completion", "Print completion scripts for shells");
  const auto add = [&](const std::string& shell, const std::string& use, std::string (*make)(const CLI::App&)) {
    AddCommand(*group, shell, StrCat("Script for ", shell, ": ", use), session, [&root, &session, make]() -> int {
      session.Print(make(root));
      return kOk;
    });
  };
  add("bash", "source <(attune completion bash)", BashCompletion);
  add("zsh", "source <(attune completion zsh)", ZshCompletion);
  add("fish", "attune completion fish | source", FishCompletion);
}

}  // namespace attune::cli
