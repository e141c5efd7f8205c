// attune admin ...

#include <memory>

#include "client/cli/app.h"
#include "client/cli/render/format.h"
#include "client/cli/session.h"
#include "client/cpp/backup.h"
#include "nlohmann/json.hpp"
#include "server/base/str_cat.h"

namespace attune::cli {

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
