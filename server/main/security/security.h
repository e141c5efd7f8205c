// Security: who may call this server, over what, and how much they may take, as the operator has said it (SecurityOptions). Owned by Server, and outlives its API; database, files and registry must outlive
// it. Thread-safe.
//
// With auth "required" the first start makes a token of an administrator and writes it, for the owner alone to read, to {data_dir}/admin.token: with it others are made (`attune tokens create`). While the
// database has any token, no new one is made.
//
// Errors of Create: INVALID_ARGUMENT and NOT_FOUND with the option at fault in front; those of the database and of files.
//
//   ATTUNE_ASSIGN_OR_RETURN(security_, Security::Create(options, {*database_, files, clock, *registry_, data_dir}));
//   api::ApiServer::Start({...}, {..., .security = security_->ForApi()});
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "prometheus/registry.h"
#include "server/api/api_server.h"
#include "server/auth/audit_log.h"
#include "server/auth/auth_gauges.h"
#include "server/auth/authenticator.h"
#include "server/auth/gate/call_gate.h"
#include "server/auth/gate/open_streams.h"
#include "server/auth/jwt/jwks_source.h"
#include "server/auth/quotas.h"
#include "server/auth/tls/server_certificate.h"
#include "server/auth/tokens/token_store.h"
#include "server/base/clock.h"
#include "server/base/files.h"
#include "server/database/database.h"
#include "server/main/options.h"
#include "server/main/periodic_task.h"

namespace attune {

struct SecuritySources {
  Database& database;
  Files& files;
  const Clock& clock;
  prometheus::Registry& registry;
  std::string data_directory;
};

class Security {
 public:
  // `trusted_channel`: nobody but this machine, or a proxy that encrypts, can read what callers send without TLS.
  static absl::StatusOr<std::unique_ptr<Security>> Create(const SecurityOptions& options, bool trusted_channel, SecuritySources sources);
  ~Security();  // writes when tokens were last used, and the audit log

  api::ApiSecurity ForApi();
  // What an operator watches; asks this object.
  auth::AuthSources Gauges();
  const auth::ProjectQuotas& quotas() const { return *quotas_; }

 private:
  Security(const SecurityOptions& options, SecuritySources sources) : options_(options), sources_(sources) {}
  absl::Status LoadCertificate();
  absl::Status LoadQuotas();
  absl::Status MakeAuthenticators(bool trusted_channel);
  absl::Status MakeFirstToken();
  void KeepFresh();

  const SecurityOptions options_;
  const SecuritySources sources_;
  // Each may use those before it.
  std::unique_ptr<auth::ServerCertificate> certificate_;  // null: plaintext
  std::unique_ptr<auth::AuditLog> audit_;
  std::unique_ptr<auth::ProjectQuotas> quotas_;
  std::unique_ptr<auth::TokenStore> tokens_;  // null: nobody is asked
  std::unique_ptr<auth::JwksSource> keys_;    // null: no JWTs are taken
  std::unique_ptr<auth::Authenticator> jwt_, certificates_, chain_;
  std::unique_ptr<auth::CallGate> gate_;
  std::unique_ptr<auth::OpenStreams> streams_;
  std::vector<std::unique_ptr<PeriodicTask>> upkeep_;
};

// Whether options fit each other, without looking at files. INVALID_ARGUMENT with the option in front.
absl::Status CheckSecurityOptions(const SecurityOptions& options);

}  // namespace attune
