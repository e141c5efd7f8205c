// AdminService: backups and API tokens. Owned by ApiServer. Thread-safe. Its methods need scope admin (server/auth/permissions.cc) in all projects: each reaches the whole server.
// Errors: those of TokenStore, with a violation for each field; FAILED_PRECONDITION for token methods on a server without tokens.
#pragma once

#include <atomic>
#include <utility>

#include "attune/v1/admin.grpc.pb.h"
#include "server/api/access/access.h"
#include "server/api/blocking_pool.h"
#include "server/auth/tokens/token_store.h"
#include "server/backup/snapshot.h"

namespace attune::api {

class AdminService final : public v1::AdminService::CallbackService {
 public:
  // What `sources` refers to must outlive the service, which must outlive its calls. `tokens` null: there are none.
  AdminService(Access& access, backup::SnapshotSources sources, auth::TokenStore* tokens, BlockingPool& pool)
      : access_(access), sources_(std::move(sources)), tokens_(tokens), pool_(pool) {}

  grpc::ServerWriteReactor<v1::CreateBackupResponse>* CreateBackup(grpc::CallbackServerContext* context, const v1::CreateBackupRequest* request) override;
  grpc::ServerUnaryReactor* CreateToken(grpc::CallbackServerContext* context, const v1::CreateTokenRequest* request, v1::CreateTokenResponse* response) override;
  grpc::ServerUnaryReactor* ListTokens(grpc::CallbackServerContext* context, const v1::ListTokensRequest* request, v1::ListTokensResponse* response) override;
  grpc::ServerUnaryReactor* RevokeToken(grpc::CallbackServerContext* context, const v1::RevokeTokenRequest* request, v1::Token* response) override;

 private:
  absl::StatusOr<auth::TokenStore*> TokensFor(const Caller& caller, std::string_view what) const;

  Access& access_;
  const backup::SnapshotSources sources_;
  auth::TokenStore* const tokens_;
  BlockingPool& pool_;
  std::atomic<bool> busy_ = false;
};

}  // namespace attune::api
