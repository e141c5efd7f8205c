#include "server/main/command_line.h"

#include <algorithm>
#include <utility>

#include "CLI/CLI.hpp"
#include "server/base/nearest.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/main/config_file.h"
#include "server/main/option_keys.h"

namespace attune {
namespace {

// A flag as it was given; its text is judged later, like that of a file.
struct Given {
  const OptionKey* key = nullptr;
  std::string text;
  CLI::Option* option = nullptr;
};

bool IsSwitch(const OptionKey& key) {
  ServerOptions scratch;
  return std::holds_alternative<bool*>(key.target(scratch));
}

absl::Status UnknownArgument(const std::string& argument) {
  std::vector<std::string> flags = {"--check", "--config", "--help", "--version"};
  for (const OptionKey& key : OptionKeys()) flags.push_back(key.Flag());
  std::string name = argument.substr(0, argument.find('='));
  std::string nearest = Nearest(name, flags);
  std::string hint = nearest.empty() ? "--help lists what there is" : StrCat("did you mean ", nearest, "?");
  return absl::InvalidArgumentError(StrCat("unknown argument \"", argument, "\"; ", hint));
}

absl::StatusOr<CommandLine> Parse(CLI::App& app, std::vector<std::string> arguments) {
  std::string config;
  app.add_option("--config", config, "Read options from this YAML file; its keys are the flags' names with _ for -.")->type_name("FILE");
  CommandLine command;
  app.add_flag("--check", command.check, "Compare a data directory that no server uses with what its database says of it, and end.");
  std::vector<Given> flags(OptionKeys().size());
  for (size_t i = 0; i < flags.size(); ++i) {
    const OptionKey& key = OptionKeys()[i];
    flags[i].key = &key;
    flags[i].option = IsSwitch(key) ? app.add_flag(key.Flag(), flags[i].text, key.help) : app.add_option(key.Flag(), flags[i].text, key.help);
    if (!IsSwitch(key)) flags[i].option->type_name(key.placeholder);
  }
  app.allow_extras();
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  app.parse(arguments);
  if (!app.remaining().empty()) return UnknownArgument(app.remaining().front());

  if (!config.empty()) ATTUNE_RETURN_IF_ERROR(ApplyConfigFile(config, command.options));
  for (const Given& flag : flags) {
    if (flag.option->count() == 0) continue;
    ATTUNE_RETURN_IF_ERROR(SetOption(*flag.key, flag.key->Flag(), flag.text, command.options));
  }
  ATTUNE_RETURN_IF_ERROR(CheckOptions(command.options));
  return command;
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(std::vector<std::string> arguments) {
  CLI::App app("The server of Attune: fine-tunes pretrained models on your data, over gRPC.", "attune-server");
  app.set_version_flag("--version", StrCat("attune-server ", kServerVersion));
  // CLI11 reports by throwing, help and version too.
  try {
    return Parse(app, std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    return CommandLine{.print = app.help()};
  } catch (const CLI::CallForVersion&) {
    return CommandLine{.print = StrCat("attune-server ", kServerVersion, "\n")};
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(StrCat(error.what(), "; --help shows how"));
  }
}

}  // namespace attune
