// attune admin ... and attune tokens ...

#include <memory>

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "client/cli/app.h"
#include "client/cli/paging.h"
#include "client/cli/render/format.h"
#include "client/cli/render/table.h"
#include "client/cli/session.h"
#include "client/cpp/backup.h"
#include "client/cpp/names.h"
#include "nlohmann/json.hpp"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

std::string ScopesOf(const v1::Token& token) {
  std::vector<std::string> names;
  for (int scope : token.scopes()) names.push_back(absl::AsciiStrToLower(v1::Scope_Name(scope).substr(6)));
  return absl::StrJoin(names, ", ");
}

std::string StateOf(const v1::Token& token, absl::Time now) {
  if (token.has_revoke_time()) return "revoked";
  if (!token.has_expire_time()) return "active";
  return ToTime(token.expire_time()) <= now ? "expired" : StrCat("until ", DateAndTime(ToTime(token.expire_time())));
}

std::string TokenTable(const v1::ListTokensResponse& response, absl::Time now, const Style& style) {
  if (response.tokens().empty()) return "There are no tokens.\n";
  Table table({{"TOKEN"}, {"NAME"}, {"PROJECTS"}, {"SCOPES"}, {"STATE"}, {"USED"}});
  for (const v1::Token& token : response.tokens()) {
    table.AddRow({client::ShortName(token.name()), OneLine(token.display_name()), absl::StrJoin(token.projects(), ", "), ScopesOf(token), StateOf(token, now),
                  token.has_last_used_time() ? Ago(ToTime(token.last_used_time()), now) : "never"});
  }
  return table.Render(style);
}

void AddCreateToken(CLI::App& group, Session& session) {
  struct Flags {
    std::string name;
    std::vector<std::string> projects, scopes;
    double days = 0;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* app = AddCommand(group, "create", "Make an API token, and show it this once", session, [&session, flags](client::Client& client) -> int {
    v1::CreateTokenRequest request;
    request.set_display_name(flags->name);
    if (flags->projects.empty()) flags->projects = {"default"};
    if (flags->scopes.empty()) flags->scopes = {"write"};
    for (const std::string& project : flags->projects) request.add_projects(project);
    for (const std::string& scope : flags->scopes) {
      v1::Scope value = v1::SCOPE_UNSPECIFIED;
      v1::Scope_Parse(StrCat("SCOPE_", absl::AsciiStrToUpper(scope)), &value);
      request.add_scopes(value);
    }
    if (flags->days > 0) request.mutable_expire_time()->set_seconds(absl::ToUnixSeconds(session.Now() + absl::Hours(24 * flags->days)));
    const auto made = client.CreateToken(request);
    if (!made.ok()) return session.Fail("cannot make the token", made.status());
    return session.Show(*made, [&] {
      return StrCat(made->secret(), "\n\nNobody can show it again. Use it: ATTUNE_TOKEN=... attune jobs list, or --token-file FILE; revoke it: attune tokens revoke ",
                    client::ShortName(made->token().name()), "\n");
    });
  });
  app->add_option("name", flags->name, "What it is for, for people to read")->required()->type_name("NAME");
  app->add_option("--project", flags->projects, "Project that its owner may use, or \"*\" for all; may be repeated. Default: default")
      ->type_name("PROJECT")
      ->allow_extra_args(false);
  app->add_option("--scope", flags->scopes, "read (see and download), write (make, change, train) or admin (keep the server); may be repeated. Default: write")
      ->allow_extra_args(false)
      ->type_name("read|write|admin")
      ->check(Silent(CLI::IsMember({"read", "write", "admin"})));
  app->add_option("--days", flags->days, "Days until it ends by itself. Default: it does not")->check(CLI::PositiveNumber)->type_name("N");
}

void AddListTokens(CLI::App& group, Session& session) {
  auto limit = std::make_shared<int>(50);
  CLI::App* app = AddCommand(group, "list", "List API tokens, newest first, without their secrets", session, [&session, limit](client::Client& client) -> int {
    const auto response =
        ListAll<v1::ListTokensResponse>(*limit, v1::ListTokensRequest(), [&](const auto& request) { return client.ListTokens(request); }, [](auto& page) { return page.mutable_tokens(); });
    if (!response.ok()) return session.Fail("cannot list the tokens", response.status());
    return session.Show(*response, [&] { return TokenTable(*response, session.Now(), session.style()); });
  });
  AddLimit(*app, limit.get());
}

void AddRevokeToken(CLI::App& group, Session& session) {
  auto name = std::make_shared<std::string>();
  CLI::App* app = AddCommand(group, "revoke", "End an API token at once", session, [&session, name](client::Client& client) -> int {
    v1::RevokeTokenRequest request;
    request.set_name(client::FullName(*name, "tokens"));
    const auto token = client.RevokeToken(request);
    if (!token.ok()) return session.Fail("cannot revoke the token", token.status(), absl::IsNotFound(token.status()) ? "`attune tokens list` shows the tokens there are" : "");
    return session.Show(*token, [&] { return StrCat("Revoked ", client::ShortName(token->name()), " (", OneLine(token->display_name()), ")\n"); });
  });
  app->add_option("token", *name, "Its id, the part between attune_ and the next _")->required();
}

}  // namespace

void AddTokenCommands(CLI::App& root, Session& session) {
  CLI::App* group = AddGroup(root, "tokens", "Make, list and revoke API tokens");
  AddCreateToken(*group, session);
  AddListTokens(*group, session);
  AddRevokeToken(*group, session);
}

void AddAdminCommands(CLI::App& root, Session& session) {
  CLI::App* group = AddGroup(root, "admin", "Keep the server");
  auto path = std::make_shared<std::string>();
  CLI::App* backup = AddCommand(*group, "backup", "Save all that the server has as a tar archive, while it goes on", session, [&session, path](client::Client& client) -> int {
    const auto bytes = client::SaveBackup(client, *path);
    if (!bytes.ok()) return session.Fail("cannot save the backup", bytes.status());
    if (session.json()) {
      session.Print(nlohmann::json{{"path", *path}, {"sizeBytes", *bytes}}.dump(1) + "\n");
    } else {
      session.Print(StrCat("Saved ", *path, ", ", Bytes(*bytes), "\nRestore it: mkdir DIR && tar -xf ", *path, " -C DIR && (cd DIR && sha256sum --quiet -c SHA256SUMS), then start a server with --data-dir DIR\n"));
    }
    return kOk;
  });
  backup->add_option("file", *path, "The archive to write; must not exist")->required()->type_name("FILE");
}

}  // namespace attune::cli
