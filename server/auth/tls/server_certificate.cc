#include "server/auth/tls/server_certificate.h"

#include <cstdlib>
#include <utility>

#include "server/base/files.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

absl::Status Annotate(const absl::Status& status, std::string_view option, std::string_view file) {
  return absl::Status(status.code(), StrCat(option, ": ", file, " ", std::string(status.message())));
}

absl::StatusOr<std::string> ReadPem(std::string_view option, const std::string& file) {
  absl::StatusOr<std::string> text = ReadFile(file, kMaxPemBytes);
  if (!text.ok()) return absl::Status(text.status().code(), StrCat(option, ": ", std::string(text.status().message())));
  return text;
}

grpc_ssl_client_certificate_request_type RequestType(ClientCertificates mode) {
  switch (mode) {
    case ClientCertificates::kNone:
      return GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    case ClientCertificates::kRequest:
      return GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
    case ClientCertificates::kRequire:
      return GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
  }
  return GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
}

}  // namespace

absl::StatusOr<ClientCertificates> ParseClientCertificates(std::string_view word) {
  if (word == "none") return ClientCertificates::kNone;
  if (word == "request") return ClientCertificates::kRequest;
  if (word == "require") return ClientCertificates::kRequire;
  return absl::InvalidArgumentError("must be one of none, request, require");
}

absl::StatusOr<std::unique_ptr<ServerCertificate>> ServerCertificate::Load(TlsFiles files, const Clock& clock) {
  if (files.certificate_file.empty() || files.key_file.empty()) return absl::InvalidArgumentError("tls_certificate_file and tls_key_file: give both, or neither for a server without TLS");
  if (files.client_certificates != ClientCertificates::kNone && files.client_ca_file.empty()) {
    return absl::InvalidArgumentError("tls_client_ca_file: is needed to check clients' certificates; give the authorities that sign them, or set tls_client_certificates to none");
  }
  std::unique_ptr<ServerCertificate> certificate(new ServerCertificate(std::move(files), clock));
  ATTUNE_ASSIGN_OR_RETURN(Content content, certificate->Read());
  ATTUNE_ASSIGN_OR_RETURN(CertificateFacts facts, certificate->Check(content));
  absl::MutexLock lock(&certificate->mutex_);
  certificate->content_ = std::move(content);
  certificate->facts_ = std::move(facts);
  return certificate;
}

absl::StatusOr<ServerCertificate::Content> ServerCertificate::Read() const {
  Content content;
  ATTUNE_ASSIGN_OR_RETURN(content.certificate, ReadPem("tls_certificate_file", files_.certificate_file));
  ATTUNE_ASSIGN_OR_RETURN(content.key, ReadPem("tls_key_file", files_.key_file));
  if (files_.client_certificates != ClientCertificates::kNone) {
    ATTUNE_ASSIGN_OR_RETURN(content.client_ca, ReadPem("tls_client_ca_file", files_.client_ca_file));
  }
  return content;
}

absl::StatusOr<CertificateFacts> ServerCertificate::Check(const Content& content) const {
  const absl::Time now = clock_.Now();
  absl::StatusOr<CertificateFacts> facts = CheckCertificateAndKey(content.certificate, content.key, now);
  if (!facts.ok()) return Annotate(facts.status(), "tls_certificate_file", files_.certificate_file);
  if (files_.client_certificates == ClientCertificates::kNone) return facts;
  const absl::Status authorities = CheckAuthorities(content.client_ca, now);
  if (!authorities.ok()) return Annotate(authorities, "tls_client_ca_file", files_.client_ca_file);
  return facts;
}

absl::Status ServerCertificate::TryReload() {
  ATTUNE_ASSIGN_OR_RETURN(Content content, Read());
  {
    absl::MutexLock lock(&mutex_);
    if (content == content_) return absl::OkStatus();
  }
  ATTUNE_ASSIGN_OR_RETURN(CertificateFacts facts, Check(content));
  Log(LogLevel::kInfo, "new TLS certificate", {{"subject", facts.subject}, {"expires", absl::FormatTime(facts.not_after, absl::UTCTimeZone())}});
  absl::MutexLock lock(&mutex_);
  content_ = std::move(content);
  facts_ = std::move(facts);
  ++generation_;
  return absl::OkStatus();
}

absl::Status ServerCertificate::Reload() {
  absl::MutexLock reloading(&reload_mutex_);
  const absl::Status status = TryReload();
  const std::string fault(status.message());
  if (!status.ok() && fault != last_fault_) Log(LogLevel::kWarning, "the new TLS files cannot be used; those of before stay", {{"error", fault}});
  last_fault_ = fault;
  if (!status.ok()) {
    absl::MutexLock lock(&mutex_);
    ++failures_;
  }
  return status;
}

CertificateFacts ServerCertificate::facts() const {
  absl::MutexLock lock(&mutex_);
  return facts_;
}

int64_t ServerCertificate::reloads() const {
  absl::MutexLock lock(&mutex_);
  return generation_ - 1;
}

int64_t ServerCertificate::reload_failures() const {
  absl::MutexLock lock(&mutex_);
  return failures_;
}

grpc_ssl_certificate_config_reload_status ServerCertificate::Fetch(grpc_ssl_server_certificate_config** config) {
  absl::MutexLock lock(&mutex_);
  if (fetched_ == generation_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  grpc_ssl_pem_key_cert_pair pair = {content_.key.c_str(), content_.certificate.c_str()};
  // gRPC 1.51 insists on authorities for clients here, also where it asks them for nothing and so uses none.
  *config = grpc_ssl_server_certificate_config_create(content_.client_ca.empty() ? content_.certificate.c_str() : content_.client_ca.c_str(), &pair, 1);
  fetched_ = generation_;
  return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

grpc_server_credentials* ServerCertificate::MakeCredentials() {
  {
    absl::MutexLock lock(&mutex_);
    fetched_ = 0;
  }
  const auto fetch = [](void* self, grpc_ssl_server_certificate_config** config) { return static_cast<ServerCertificate*>(self)->Fetch(config); };
  return grpc_ssl_server_credentials_create_with_options(grpc_ssl_server_credentials_create_options_using_config_fetcher(RequestType(files_.client_certificates), fetch, this));
}

void RequireTls13() { setenv("GRPC_SSL_CIPHER_SUITES", "PSK-AES128-GCM-SHA256:PSK-AES256-GCM-SHA384", /*overwrite=*/1); }

}  // namespace attune::auth
