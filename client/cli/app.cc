#include "client/cli/app.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "client/cli/render/error_text.h"
#include "server/base/nearest.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr char kGlobal[] = "Global options";

constexpr char kFooter[] = R"(
Exit codes: 0 done; 1 the job failed or the server did; 2 the command line or job file is wrong; 3 not found;
  4 the server does not accept the request; 5 no answer from the server; 6 the job was cancelled; 130 interrupted.
Environment: ATTUNE_SERVER is the default of --server; ATTUNE_TOKEN is an API token or JWT; ATTUNE_CA_FILE, ATTUNE_TOKEN_FILE,
ATTUNE_CLIENT_CERTIFICATE_FILE and ATTUNE_CLIENT_KEY_FILE are the defaults of those options; NO_COLOR turns colours off; a W3C TRACEPARENT goes with every call, so that the server's log
and the job's events name that trace.

First steps:
  attune models import DIRECTORY --id minilm     (attune models architectures: which text and image models there are)
  attune datasets upload reviews.csv --id reviews
  attune jobs create --base-model minilm --dataset reviews --watch
Completion: source <(attune completion bash))";

// The options are repeated at each command, so that they may stand anywhere; all write to the session.
void AddGlobalOptions(CLI::App& app, Session& session) {
  app.add_option("--server", session.server,
                 "Server: HOST:PORT or unix:PATH. Default: ATTUNE_SERVER, else 127.0.0.1:50051")
      ->type_name("ADDRESS")
      ->group(kGlobal);
  app.add_flag("--tls", session.tls, "Speak TLS, and believe the authorities of this system. Default: where --ca-file is given")->group(kGlobal);
  app.add_option("--ca-file", session.ca_file, "Speak TLS, and believe the authorities in this PEM file. Default: ATTUNE_CA_FILE")->envname("ATTUNE_CA_FILE")->type_name("FILE")->group(kGlobal);
  app.add_option("--client-certificate-file", session.client_certificate_file, "PEM file of the caller's certificate. Default: ATTUNE_CLIENT_CERTIFICATE_FILE")->envname("ATTUNE_CLIENT_CERTIFICATE_FILE")->type_name("FILE")->group(kGlobal);
  app.add_option("--client-key-file", session.client_key_file, "PEM file of its key. Default: ATTUNE_CLIENT_KEY_FILE")->envname("ATTUNE_CLIENT_KEY_FILE")->type_name("FILE")->group(kGlobal);
  app.add_option("--token-file", session.token_file, "File of an API token or JWT. Default: ATTUNE_TOKEN_FILE, else the token in ATTUNE_TOKEN")->envname("ATTUNE_TOKEN_FILE")->type_name("FILE")->group(kGlobal);
  app.add_option("--output", session.output,
                 "text for people, json for programs (protobuf JSON; streams give one message a line)")
      ->group(kGlobal);
  SetChoices(app.get_option("--output"), {"text", "json"});
  app.add_flag("-q,--quiet", session.quiet, "No progress on standard error")->group(kGlobal);
}

// The deepest command that was recognised, and its path.
CLI::App* Chosen(CLI::App& root, std::string* path) {
  CLI::App* app = &root;
  *path = "attune";
  while (!app->get_subcommands().empty()) {
    app = app->get_subcommands().front();
    StrAppend(path, " ", app->get_name());
  }
  return app;
}

std::string ExplainUnknown(const std::string& argument, const CLI::App& app, const std::string& path) {
  const bool option = argument.size() > 1 && argument[0] == '-';
  std::vector<std::string> known;
  if (option) {
    for (const CLI::Option* o : app.get_options({})) {
      for (const std::string& name : o->get_lnames()) known.push_back("--" + name);
    }
  } else {
    for (const CLI::App* sub : app.get_subcommands({})) known.push_back(sub->get_name());
  }
  const std::string near = Nearest(argument.substr(0, argument.find('=')), known);
  const char* kind = option ? "option" : known.empty() ? "argument" : "command";
  return StrCat("`", path, "` does not know the ", kind, " '", argument, "'",
                near.empty() ? "" : StrCat("; did you mean '", near, "'?"));
}

int ExplainParseError(const CLI::ParseError& error, CLI::App& root, Session& session) {
  std::string path;
  CLI::App* app = Chosen(root, &path);
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {  // --help, --version
    root.exit(error, session.console().out, session.console().err);
    return kOk;
  }
  const std::vector<std::string> left = root.remaining(true);
  std::string why = error.what();
  if (!left.empty()) {
    why = ExplainUnknown(left.front(), *app, path);
  } else if (!app->get_subcommands({}).empty()) {
    // `attune jobs` alone: show what can follow.
    session.console().err << root.help();
    return kUsage;
  }
  session.console().err << FailureText({"the command line is not right", absl::InvalidArgumentError(why),
                                        StrCat("`", path, " --help` shows what it takes")},
                                       session.console().err_style);
  return kUsage;
}

}  // namespace

void SetChoices(CLI::Option* option, const std::vector<std::string>& choices) {
  const auto check = [choices](std::string& text) -> std::string {
    std::string wanted = absl::AsciiStrToLower(text);
    std::replace(wanted.begin(), wanted.end(), '-', '_');
    if (std::find(choices.begin(), choices.end(), wanted) != choices.end()) {
      text = wanted;
      return "";
    }
    const std::string near = Nearest(wanted, choices);
    return StrCat("'", text, "' is not one of ", absl::StrJoin(choices, ", "),
                  near.empty() ? "" : StrCat("; did you mean '", near, "'?"));
  };
  option->transform(CLI::Validator(check, ""))->type_name(absl::StrJoin(choices, "|"));
}

CLI::Validator Silent(CLI::Validator check) { return check.description(""); }

void AddLimit(CLI::App& app, int* limit) {
  app.add_option("--limit", *limit, StrCat("Entries at most; 0: all. Default: ", *limit))
      ->check(Silent(CLI::NonNegativeNumber))
      ->type_name("N");
}

CLI::App* AddGroup(CLI::App& parent, const std::string& name, const std::string& description) {
  CLI::App* app = parent.add_subcommand(name, description);
  app->footer("");
  // At most one: a text that happens to be called like a command stays a text.
  app->require_subcommand(1, 1);
  return app;
}

CLI::App* AddCommand(CLI::App& parent, const std::string& name, const std::string& description, Session& session,
                     std::function<int()> run) {
  CLI::App* app = parent.add_subcommand(name, description);
  app->footer("");
  AddGlobalOptions(*app, session);
  app->final_callback([&session, run = std::move(run)] { session.action = run; });
  return app;
}

CLI::App* AddCommand(CLI::App& parent, const std::string& name, const std::string& description, Session& session,
                     std::function<int(client::Client&)> run) {
  return AddCommand(parent, name, description, session, [&session, run = std::move(run)] {
    auto client = session.client();
    if (!client.ok()) return session.Fail("cannot connect", client.status(), "correct --server or ATTUNE_SERVER");
    return run(**client);
  });
}

std::unique_ptr<CLI::App> BuildApp(Session& session) {
  auto app = std::make_unique<CLI::App>("Fine-tunes pretrained models on your data, on an attune-server.", "attune");
  app->require_subcommand(1, 1);
  app->set_version_flag("--version", std::string("attune ") + ATTUNE_VERSION, "Show the version");
  app->set_help_flag("-h,--help", "Show this help");
  app->footer(kFooter);
  AddGlobalOptions(*app, session);
  AddDatasetCommands(*app, session);
  AddModelCommands(*app, session);
  AddJobCommands(*app, session);
  AddCheckpointCommands(*app, session);
  AddPredictCommand(*app, session);
  AddServerCommands(*app, session);
  AddAdminCommands(*app, session);
  AddTokenCommands(*app, session);
  AddCompletionCommands(*app, session);
  return app;
}

int RunCli(const std::vector<std::string>& args, Console& console, client::ClientOptions options) {
  Session session(console, std::move(options));
  std::unique_ptr<CLI::App> app = BuildApp(session);
  // CLI11 looks for options behind "--" once an argument that may be repeated has one value, so that part is kept from
  // it.
  const auto end = std::find(args.begin(), args.end(), "--");
  if (end != args.end()) session.literals.assign(end + 1, args.end());
  std::vector<std::string> words(args.begin(), end);
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  try {
    app->parse(words);
    if (!session.literals.empty() && !app->got_subcommand("predict")) {
      throw CLI::ParseError("only `attune predict` takes arguments after --", CLI::ExitCodes::ExtrasError);
    }
  } catch (const CLI::ParseError& error) {  // the library knows no other way
    return ExplainParseError(error, *app, session);
  }
  return session.action();
}

}  // namespace attune::cli
