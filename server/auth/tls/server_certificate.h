// ServerCertificate: the files of a server's TLS, checked (certificate_check.h), and gRPC credentials that follow them: when the files change, the next handshake uses the new ones, and connections that
// are open stay as they are. Owned by main; must outlive the gRPC server. Thread-safe.
//
// New files are taken all together or not at all: while they do not fit each other (a rotation half done) or are no good, the old ones stay, and attune_certificate_reload_failures_total counts. That is
// why this is not gRPC's FileWatcherCertificateProvider: of that, a certificate without its key stops every handshake. What gRPC offers instead is older and plain: it asks for the
// certificate at each handshake.
//
// TLS 1.3 and 1.2 with forward secrecy and AEAD ciphers are gRPC 1.51's own limits. It has no public way to leave out 1.2; RequireTls13 does it all the same.
//
// Errors: INVALID_ARGUMENT and NOT_FOUND that name the option and the file.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto certificate, ServerCertificate::Load({.certificate_file = "tls.crt", .key_file = "tls.key"}, clock));
//   PeriodicTask watching(absl::Seconds(10), [&] { certificate->Reload().IgnoreError(); });
//   grpc_server_credentials* credentials = certificate->MakeCredentials();   // for gate/gated_credentials.h
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "grpc/grpc_security.h"
#include "server/auth/tls/certificate_check.h"
#include "server/base/clock.h"

namespace attune::auth {

enum class ClientCertificates {
  kNone,     // not asked for
  kRequest,  // taken and checked when shown
  kRequire,  // no connection without
};
// "none", "request", "require". INVALID_ARGUMENT that says so for another word.
absl::StatusOr<ClientCertificates> ParseClientCertificates(std::string_view word);

struct TlsFiles {
  std::string certificate_file;  // PEM: the server's, then its issuers'
  std::string key_file;          // PEM, without a passphrase
  std::string client_ca_file;    // PEM: who signs clients' certificates; needed unless those are kNone
  ClientCertificates client_certificates = ClientCertificates::kNone;
};

class ServerCertificate {
 public:
  static absl::StatusOr<std::unique_ptr<ServerCertificate>> Load(TlsFiles files, const Clock& clock);

  // Reads the files, and takes them when they have changed and are good. The error says why the old ones stay; it is logged once for each new fault.
  absl::Status Reload();

  CertificateFacts facts() const;
  int64_t reloads() const;          // changes that were taken
  int64_t reload_failures() const;  // times that Reload found something that it could not take

  // Credentials that ask this object at each handshake. The caller owns them (grpc_server_credentials_release).
  grpc_server_credentials* MakeCredentials();

 private:
  struct Content {
    std::string certificate, key, client_ca;
    bool operator==(const Content&) const = default;
  };

  ServerCertificate(TlsFiles files, const Clock& clock) : files_(std::move(files)), clock_(clock) {}
  absl::StatusOr<Content> Read() const;
  absl::StatusOr<CertificateFacts> Check(const Content& content) const;
  absl::Status TryReload();
  grpc_ssl_certificate_config_reload_status Fetch(grpc_ssl_server_certificate_config** config);

  const TlsFiles files_;
  const Clock& clock_;
  absl::Mutex reload_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  std::string last_fault_ ABSL_GUARDED_BY(reload_mutex_);
  mutable absl::Mutex mutex_;
  Content content_ ABSL_GUARDED_BY(mutex_);
  CertificateFacts facts_ ABSL_GUARDED_BY(mutex_);
  int64_t generation_ ABSL_GUARDED_BY(mutex_) = 1;  // of content_
  int64_t fetched_ ABSL_GUARDED_BY(mutex_) = 0;     // the generation that gRPC has
  int64_t failures_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Makes this process's gRPC servers refuse TLS 1.2, by leaving them no cipher for it that they could use: a list of pre-shared-key ciphers, in the environment variable that gRPC 1.51 reads when it
// first needs it. Call it before any TLS credentials are made, while no other thread runs. Clients of this process are bound by it, too. Only with gRPC's OpenSSL of Debian 12: a test connects with
// 1.2 and with 1.3.
void RequireTls13();

}  // namespace attune::auth
