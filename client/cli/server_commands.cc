// attune server ...

#include "client/cli/app.h"
#include "client/cli/render/result_text.h"
#include "client/cli/session.h"
#include "google/protobuf/util/json_util.h"
#include "nlohmann/json.hpp"

namespace attune::cli {
namespace {

nlohmann::json ToJson(const google::protobuf::Message& message) {
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text);
  return status.ok() ? nlohmann::json::parse(text) : nlohmann::json::object();
}

}  // namespace

void AddServerCommands(CLI::App& root, Session& session) {
  CLI::App* group = AddGroup(root, "server", "Look at the server");
  AddCommand(*group, "info", "Show version, load and devices of the server", session,
             [&session](client::Client& client) -> int {
               auto info = client.GetServerInfo();
               if (!info.ok()) return session.Fail("cannot ask the server", info.status());
               auto devices = client.ListDevices();
               if (!devices.ok()) return session.Fail("cannot ask for the devices", devices.status());
               if (!session.json()) {
                 session.Print(ServerText(*info, *devices, session.Now(), session.style()));
                 return kOk;
               }
               // Two answers in one document: the fields of ServerInfo, and devices.
               nlohmann::json document = ToJson(*info);
               document["devices"] = ToJson(*devices).value("devices", nlohmann::json::array());
               session.Print(document.dump(1) + "\n");
               return kOk;
             });
}

}  // namespace attune::cli
