// attune server ...

#include <memory>
#include <string>

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
  auto service = std::make_shared<std::string>();
  CLI::App* health = AddCommand(*group, "health", "Ask whether the server takes work (gRPC's health check): exit code 0 when it does, 1 when it does not", session,
                                [&session, service](client::Client& client) -> int {
                                  const auto serving = client.IsServing(*service);
                                  if (!serving.ok()) return session.Fail("cannot ask for the server's health", serving.status());
                                  const std::string status = *serving ? "SERVING" : "NOT_SERVING";
                                  session.Print(session.json() ? nlohmann::json{{"status", status}}.dump(1) + "\n" : status + "\n");
                                  return *serving ? kOk : kFailed;
                                });
  health->add_option("service", *service, "One service, as attune.v1.SystemService. Default: the server as a whole")->type_name("SERVICE");
}

}  // namespace attune::cli
