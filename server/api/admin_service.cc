#include "server/api/admin_service.h"

#include <string>
#include <vector>

#include "server/api/streams/backup_stream.h"
#include "server/api/streams/refusal.h"
#include "server/api/timestamps.h"
#include "server/api/unary.h"
#include "server/api/validation.h"
#include "server/base/ids.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::api {
namespace {

constexpr std::string_view kCollection = "tokens";
constexpr size_t kMaxNameBytes = 63;

v1::Scope ToProto(auth::Scope scope) {
  switch (scope) {
    case auth::Scope::kRead:
      return v1::SCOPE_READ;
    case auth::Scope::kWrite:
      return v1::SCOPE_WRITE;
    case auth::Scope::kAdmin:
      return v1::SCOPE_ADMIN;
  }
  return v1::SCOPE_UNSPECIFIED;
}

v1::Token ToProto(const auth::TokenInfo& info) {
  v1::Token token;
  token.set_name(StrCat(kCollection, "/", info.id));
  token.set_display_name(info.spec.name);
  for (const std::string& project : info.spec.projects) token.add_projects(project);
  for (auth::Scope scope : {auth::Scope::kRead, auth::Scope::kWrite, auth::Scope::kAdmin}) {
    if (info.spec.scopes.Has(scope)) token.add_scopes(ToProto(scope));
  }
  *token.mutable_create_time() = ToTimestamp(info.create_time);
  if (info.spec.expire_time != absl::InfiniteFuture()) *token.mutable_expire_time() = ToTimestamp(info.spec.expire_time);
  if (info.revoke_time != absl::InfiniteFuture()) *token.mutable_revoke_time() = ToTimestamp(info.revoke_time);
  if (info.last_used_time != absl::InfinitePast()) *token.mutable_last_used_time() = ToTimestamp(info.last_used_time);
  return token;
}

absl::StatusOr<auth::TokenSpec> ToSpec(const v1::CreateTokenRequest& request) {
  RequestCheck check;
  check.NotEmpty("display_name", request.display_name(), "what the token is for, for example \"ci of team vision\"");
  check.Text("display_name", request.display_name(), kMaxNameBytes);
  auth::TokenSpec spec{.name = request.display_name(), .projects = {request.projects().begin(), request.projects().end()}};
  if (absl::Status status = auth::CheckProjects(spec.projects); !status.ok()) check.Violate("projects", std::string(status.message()));
  if (request.scopes().empty()) check.Violate("scopes", "is required: SCOPE_READ, SCOPE_WRITE or SCOPE_ADMIN");
  for (int i = 0; i < request.scopes_size(); ++i) {
    if (request.scopes(i) == v1::SCOPE_UNSPECIFIED || !v1::Scope_IsValid(request.scopes(i))) {
      check.Violate(StrCat("scopes[", i, "]"), StrCat("is ", request.scopes(i), "; use SCOPE_READ, SCOPE_WRITE or SCOPE_ADMIN"));
    } else {
      spec.scopes.Add(static_cast<auth::Scope>(request.scopes(i) - v1::SCOPE_READ));
    }
  }
  if (request.has_expire_time()) {
    if (request.expire_time().seconds() <= 0 || request.expire_time().seconds() > 253402300799) {
      check.Violate("expire_time", "is not a time from 1970 to 9999; leave it out for a token that never ends by itself");
    } else {
      spec.expire_time = absl::FromUnixSeconds(request.expire_time().seconds());
    }
  }
  ATTUNE_RETURN_IF_ERROR(check.status());
  return spec;
}

}  // namespace

absl::StatusOr<auth::TokenStore*> AdminService::TokensFor(const Caller& caller, std::string_view what) const {
  ATTUNE_RETURN_IF_ERROR(caller.RequireAllProjects(what));
  if (tokens_ == nullptr) return absl::FailedPreconditionError("this server asks nobody for tokens; start it with --auth required");
  return tokens_;
}

grpc::ServerWriteReactor<v1::CreateBackupResponse>* AdminService::CreateBackup(grpc::CallbackServerContext* context, const v1::CreateBackupRequest*) {
  const absl::StatusOr<Caller> caller = access_.CallerOf(*context);
  absl::Status admitted = caller.ok() ? caller->RequireAllProjects("CreateBackup") : caller.status();
  if (!admitted.ok()) return new Refusal<v1::CreateBackupResponse>(admitted);
  return StartBackup(*context, sources_, busy_);
}

grpc::ServerUnaryReactor* AdminService::CreateToken(grpc::CallbackServerContext* context, const v1::CreateTokenRequest* request, v1::CreateTokenResponse* response) {
  return AnswerFromPool(context, access_, pool_, request, response, [this, request](const Caller& caller) -> absl::StatusOr<v1::CreateTokenResponse> {
    ATTUNE_ASSIGN_OR_RETURN(auth::TokenStore * tokens, TokensFor(caller, "CreateToken"));
    ATTUNE_ASSIGN_OR_RETURN(const auth::TokenSpec spec, ToSpec(*request));
    ATTUNE_ASSIGN_OR_RETURN(const auth::NewToken made, tokens->CreateToken(spec));
    v1::CreateTokenResponse answer;
    *answer.mutable_token() = ToProto(made.info);
    answer.set_secret(made.text);
    return answer;
  });
}

grpc::ServerUnaryReactor* AdminService::ListTokens(grpc::CallbackServerContext* context, const v1::ListTokensRequest* request, v1::ListTokensResponse* response) {
  RequestCheck check;
  check.PageSize(request->page_size());
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request](const Caller& caller) -> absl::StatusOr<v1::ListTokensResponse> {
    ATTUNE_ASSIGN_OR_RETURN(auth::TokenStore * tokens, TokensFor(caller, "ListTokens"));
    ATTUNE_ASSIGN_OR_RETURN(const auth::TokenPage page, tokens->List(EffectivePageSize(request->page_size(), 50, 1000), request->page_token()));
    v1::ListTokensResponse answer;
    for (const auth::TokenInfo& info : page.tokens) *answer.add_tokens() = ToProto(info);
    answer.set_next_page_token(page.next_page_token);
    return answer;
  });
}

grpc::ServerUnaryReactor* AdminService::RevokeToken(grpc::CallbackServerContext* context, const v1::RevokeTokenRequest* request, v1::Token* response) {
  RequestCheck check;
  check.Name("name", request->name(), kCollection);
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request](const Caller& caller) -> absl::StatusOr<v1::Token> {
    ATTUNE_ASSIGN_OR_RETURN(auth::TokenStore * tokens, TokensFor(caller, "RevokeToken"));
    ATTUNE_ASSIGN_OR_RETURN(const std::string id, ParseResourceName(request->name(), kCollection));
    ATTUNE_ASSIGN_OR_RETURN(const auth::TokenInfo info, tokens->Revoke(id));
    return ToProto(info);
  });
}

}  // namespace attune::api
