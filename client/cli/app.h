// The command line of `attune`: the tree of commands, and one run of it. RunCli is all that main does; tests call it
// with strings.
//
//   Console console = ProcessConsole();
//   return RunCli({"jobs", "list"}, console, options);
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "client/cli/console.h"
#include "client/cli/session.h"
#include "client/cpp/client.h"

namespace attune::cli {

// The whole tree. Commands put what they do into session.action.
std::unique_ptr<CLI::App> BuildApp(Session& session);

// `args` without the program's name. options.address is the server when --server is not given. Returns the exit code.
int RunCli(const std::vector<std::string>& args, Console& console, client::ClientOptions options);

// A group of commands, like `attune jobs`.
CLI::App* AddGroup(CLI::App& parent, const std::string& name, const std::string& description);

// A command with the global options. `run` is called after parsing; with a client when it takes one (which is then
// connected, or the run fails).
CLI::App* AddCommand(CLI::App& parent, const std::string& name, const std::string& description, Session& session,
                     std::function<int()> run);
CLI::App* AddCommand(CLI::App& parent, const std::string& name, const std::string& description, Session& session,
                     std::function<int(client::Client&)> run);

// The value must be one of `choices` (letter case and '-' for '_' are forgiven); they stand in the help as "a|b", from
// which completion takes them.
void SetChoices(CLI::Option* option, const std::vector<std::string>& choices);

// A check of CLI11's without its remark in the help.
CLI::Validator Silent(CLI::Validator check);

// `--limit` of lists: `limit` holds the default.
void AddLimit(CLI::App& app, int* limit);

// One function for each group; each in its own file.
void AddDatasetCommands(CLI::App& root, Session& session);
void AddModelCommands(CLI::App& root, Session& session);
void AddJobCommands(CLI::App& root, Session& session);
void AddCreateJobCommand(CLI::App& jobs, Session& session);
void AddPlanJobCommand(CLI::App& jobs, Session& session);
void AddEvaluateCommand(CLI::App& jobs, Session& session);
void AddVerifyResumeCommand(CLI::App& jobs, Session& session);
void AddReportCommand(CLI::App& jobs, Session& session);
void AddCheckpointCommands(CLI::App& root, Session& session);
void AddPredictCommand(CLI::App& root, Session& session);
void AddServerCommands(CLI::App& root, Session& session);
void AddAdminCommands(CLI::App& root, Session& session);
void AddTokenCommands(CLI::App& root, Session& session);
void AddCompletionCommands(CLI::App& root, Session& session);

}  // namespace attune::cli
