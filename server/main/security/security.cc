#include "server/main/security/security.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "server/api/access/caller.h"
#include "server/auth/certificate_authenticator.h"
#include "server/auth/chain_authenticator.h"
#include "server/auth/jwt/https_fetch.h"
#include "server/auth/jwt/jwt_authenticator.h"
#include "server/base/errno_status.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/main/security/quota_file.h"

namespace attune {
namespace {

constexpr int64_t kMaxFileBytes = 1 << 20;
constexpr absl::Duration kCertificateInterval = absl::Seconds(10);
constexpr absl::Duration kAuditInterval = absl::Seconds(1);
constexpr absl::Duration kLastUsedInterval = absl::Minutes(10);
constexpr absl::Duration kStreamsInterval = absl::Seconds(5);

absl::Status Annotate(const absl::Status& status, std::string_view option) { return absl::Status(status.code(), StrCat(option, ": ", std::string(status.message()))); }

bool TakesJwts(const SecurityOptions& options) { return !options.jwt_issuer.empty(); }

auth::JwtOptions JwtOptionsOf(const SecurityOptions& options) {
  return {.issuer = options.jwt_issuer,
          .audience = options.jwt_audience,
          .projects_claim = options.jwt_projects_claim,
          .scopes_claim = options.jwt_scopes_claim,
          .scope_prefix = options.jwt_scope_prefix,
          .leeway = absl::Seconds(options.jwt_leeway_seconds)};
}

// For the owner alone to read, whatever the umask; durable but for its name.
absl::Status WriteSecret(const std::string& path, const std::string& content) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoStatus(errno, "write", path);
  const bool whole = fchmod(fd, 0600) == 0 && write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) && fsync(fd) == 0;
  const absl::Status status = whole ? absl::OkStatus() : ErrnoStatus(errno, "write", path);
  close(fd);
  return status;
}

bool IsUrl(const std::string& text) { return absl::StrContains(text, "://"); }

}  // namespace

absl::Status CheckSecurityOptions(const SecurityOptions& options) {
  const auto fail = [](std::string_view message) { return absl::InvalidArgumentError(AbslView(message)); };
  if (options.tls_certificate_file.empty() != options.tls_key_file.empty()) return fail("tls_key_file: a certificate and its key belong together; give tls_certificate_file and tls_key_file");
  const bool tls = !options.tls_certificate_file.empty();
  if (options.tls_client_certificates != "none" && !tls) return fail("tls_client_certificates: needs TLS; give tls_certificate_file and tls_key_file");
  if (options.tls_client_certificates != "none" && options.tls_client_ca_file.empty()) {
    return fail("tls_client_ca_file: who signs the certificates of clients? Give the file of their authorities, or tls_client_certificates none");
  }
  if (options.auth == "none") {
    for (const auto& [name, value] : {std::pair("certificate_rules_file", &options.certificate_rules_file), std::pair("jwt_issuer", &options.jwt_issuer)}) {
      if (!value->empty()) return fail(StrCat(name, ": has no effect while auth is none; give --auth required"));
    }
  }
  if (!options.certificate_rules_file.empty() && options.tls_client_certificates == "none") return fail("certificate_rules_file: needs tls_client_certificates request or require");
  if (!TakesJwts(options)) {
    if (!options.jwt_audience.empty() || !options.jwt_jwks.empty()) return fail("jwt_issuer: is missing; JWTs need jwt_issuer, jwt_audience and jwt_jwks");
    return absl::OkStatus();
  }
  if (absl::Status status = auth::CheckJwtOptions(JwtOptionsOf(options)); !status.ok()) return Annotate(status, "jwt_audience");
  if (options.jwt_jwks.empty()) return fail("jwt_jwks: is missing; give the file or https URL of the issuer's keys");
  if (IsUrl(options.jwt_jwks)) {
    if (absl::Status status = auth::CheckHttpsUrl(options.jwt_jwks); !status.ok()) return Annotate(status, "jwt_jwks");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Security>> Security::Create(const SecurityOptions& options, bool trusted_channel, SecuritySources sources) {
  ATTUNE_RETURN_IF_ERROR(CheckSecurityOptions(options));
  std::unique_ptr<Security> security(new Security(options, std::move(sources)));
  ATTUNE_RETURN_IF_ERROR(security->LoadCertificate());
  ATTUNE_RETURN_IF_ERROR(security->LoadQuotas());
  ATTUNE_ASSIGN_OR_RETURN(security->audit_, auth::AuditLog::Open({.directory = security->sources_.data_directory + "/audit"}, security->sources_.files, security->sources_.clock));
  ATTUNE_RETURN_IF_ERROR(security->MakeAuthenticators(trusted_channel));
  security->KeepFresh();
  return security;
}

Security::~Security() {
  upkeep_.clear();
  if (tokens_ != nullptr) {
    if (absl::Status status = tokens_->FlushLastUsed(); !status.ok()) Log(LogLevel::kWarning, "when tokens were last used was not written", {{"error", status.ToString()}});
  }
  if (audit_ == nullptr) return;
  if (absl::Status status = audit_->Sync(); !status.ok()) Log(LogLevel::kWarning, "the audit log was not synced", {{"error", status.ToString()}});
}

absl::Status Security::LoadCertificate() {
  if (options_.tls_certificate_file.empty()) return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(const auth::ClientCertificates client_certificates, auth::ParseClientCertificates(options_.tls_client_certificates));
  ATTUNE_ASSIGN_OR_RETURN(certificate_, auth::ServerCertificate::Load({.certificate_file = options_.tls_certificate_file,
                                                                       .key_file = options_.tls_key_file,
                                                                       .client_ca_file = options_.tls_client_ca_file,
                                                                       .client_certificates = client_certificates},
                                                                      sources_.clock));
  return absl::OkStatus();
}

absl::Status Security::LoadQuotas() {
  auth::QuotaOptions quotas;
  if (!options_.quotas_file.empty()) {
    const absl::StatusOr<std::string> text = ReadFile(options_.quotas_file, kMaxFileBytes);
    if (!text.ok()) return Annotate(text.status(), "quotas_file");
    ATTUNE_ASSIGN_OR_RETURN(quotas, ParseQuotas(*text, options_.quotas_file));
  }
  quotas_ = std::make_unique<auth::ProjectQuotas>(std::move(quotas), sources_.clock);
  return absl::OkStatus();
}

absl::Status Security::MakeAuthenticators(bool trusted_channel) {
  auth::ChainOptions chain;
  if (options_.auth == "none") {
    chain.anonymous = api::Caller().identity();
  } else {
    ATTUNE_ASSIGN_OR_RETURN(tokens_, auth::TokenStore::Create(sources_.database, sources_.clock));
    ATTUNE_RETURN_IF_ERROR(MakeFirstToken());
    if (TakesJwts(options_)) {
      const std::string where = options_.jwt_jwks;
      auth::JwksSource::Read read = [where] { return auth::ReadJwksFile(where); };
      if (IsUrl(where)) read = [where] { return auth::FetchHttps({}, where); };
      keys_ = std::make_unique<auth::JwksSource>(auth::JwksSourceOptions{}, std::move(read), sources_.clock);
      jwt_ = std::make_unique<auth::JwtAuthenticator>(JwtOptionsOf(options_), *keys_, sources_.clock);
    }
    if (!options_.certificate_rules_file.empty()) {
      const absl::StatusOr<std::string> text = ReadFile(options_.certificate_rules_file, kMaxFileBytes);
      if (!text.ok()) return Annotate(text.status(), "certificate_rules_file");
      ATTUNE_ASSIGN_OR_RETURN(std::vector<auth::CertificateRule> rules, auth::ParseCertificateRules(*text, options_.certificate_rules_file));
      certificates_ = std::make_unique<auth::CertificateAuthenticator>(std::move(rules));
    }
    chain.tokens = tokens_.get();
    chain.jwt = jwt_.get();
    chain.certificates = certificates_.get();
    chain.allow_plaintext_tokens = trusted_channel;
  }
  chain_ = std::make_unique<auth::ChainAuthenticator>(std::move(chain));
  gate_ = std::make_unique<auth::CallGate>(*chain_, *audit_, sources_.registry);
  if (tokens_ != nullptr) streams_ = std::make_unique<auth::OpenStreams>([this](const std::string& token) { return tokens_->CheckRevoked(token); }, sources_.registry);
  return absl::OkStatus();
}

absl::Status Security::MakeFirstToken() {
  const std::string path = sources_.data_directory + "/admin.token";
  const absl::StatusOr<std::string> written = ReadFile(path, kMaxFileBytes);
  ATTUNE_ASSIGN_OR_RETURN(const auth::TokenPage page, tokens_->List(2, ""));
  // An empty file beside the only token ever made: the server was killed before the token was in it, and nobody has it.
  const bool unfinished = written.ok() && written->empty() && page.tokens.size() == 1;
  if (!page.tokens.empty() && !unfinished) return absl::OkStatus();
  if (!page.tokens.empty()) ATTUNE_RETURN_IF_ERROR(tokens_->Revoke(page.tokens[0].id).status());
  ATTUNE_RETURN_IF_ERROR(WriteSecret(path, ""));
  ATTUNE_ASSIGN_OR_RETURN(const auth::NewToken made, tokens_->CreateToken({.name = "first administrator", .projects = {std::string(auth::kAllProjects)}, .scopes = {auth::Scope::kAdmin}}));
  ATTUNE_RETURN_IF_ERROR(WriteSecret(path, made.text + "\n"));
  ATTUNE_RETURN_IF_ERROR(sources_.files.SyncDirectory(sources_.data_directory));
  Log(LogLevel::kInfo, "made the first administrator's token; make others with `attune tokens create`, and remove the file", {{"file", path}, {"token", made.info.id}});
  return absl::OkStatus();
}

void Security::KeepFresh() {
  if (certificate_ != nullptr) upkeep_.push_back(std::make_unique<PeriodicTask>(kCertificateInterval, [this] { certificate_->Reload().IgnoreError(); }));
  upkeep_.push_back(std::make_unique<PeriodicTask>(kAuditInterval, [this] { audit_->Sync().IgnoreError(); }));
  if (tokens_ == nullptr) return;
  upkeep_.push_back(std::make_unique<PeriodicTask>(kLastUsedInterval, [this] { tokens_->FlushLastUsed().IgnoreError(); }));
  upkeep_.push_back(std::make_unique<PeriodicTask>(kStreamsInterval, [this] { streams_->EndRevoked(); }));
}

api::ApiSecurity Security::ForApi() {
  return {.gate = gate_.get(), .streams = streams_.get(), .tokens = tokens_.get(), .audit = audit_.get(), .quotas = quotas_.get(), .certificate = certificate_.get()};
}

auth::AuthSources Security::Gauges() {
  auth::AuthSources gauges;
  if (certificate_ != nullptr) {
    gauges.certificate_expiry = [this] { return certificate_->facts().not_after; };
    gauges.certificate_reload_failures = [this] { return certificate_->reload_failures(); };
  }
  if (keys_ != nullptr) gauges.jwks_age = [this] { return keys_->age(); };
  if (tokens_ != nullptr) gauges.active_tokens = [this] { return tokens_->active(); };
  gauges.audit_failures = [this] { return audit_->failures(); };
  return gauges;
}

}  // namespace attune
