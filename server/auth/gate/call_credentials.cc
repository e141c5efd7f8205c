#include "server/auth/gate/call_credentials.h"

#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "server/auth/auth_errors.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

constexpr std::string_view kScheme = "Bearer ";
constexpr char kAuthorization[] = "authorization";

// What the handshake has left behind, by name: from gRPC's core or from its C++ face.
using Properties = std::function<std::vector<std::string>(const char* name)>;

void AddHandshake(const Properties& properties, Credentials& credentials) {
  const std::vector<std::string> type = properties(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  credentials.encrypted = type.size() == 1 && (type[0] == GRPC_SSL_TRANSPORT_SECURITY_TYPE || type[0] == GRPC_TLS_TRANSPORT_SECURITY_TYPE);
  std::vector<std::string> pem = properties(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (!credentials.encrypted || pem.empty()) return;
  PeerCertificate certificate = {.uris = properties(GRPC_PEER_URI_PROPERTY_NAME),
                                 .dns_names = properties(GRPC_PEER_DNS_PROPERTY_NAME),
                                 .emails = properties(GRPC_PEER_EMAIL_PROPERTY_NAME),
                                 .pem = std::move(pem[0])};
  if (std::vector<std::string> names = properties(GRPC_X509_CN_PROPERTY_NAME); !names.empty()) certificate.common_name = std::move(names[0]);
  credentials.certificate = std::move(certificate);
}

}  // namespace

absl::StatusOr<std::string> BearerToken(const std::vector<std::string_view>& authorization) {
  if (authorization.empty()) return std::string();
  if (authorization.size() > 1) return Unauthenticated("CREDENTIALS_MALFORMED", "the call has more than one authorization entry; send one");
  const std::string_view value = authorization[0];
  if (!absl::StartsWithIgnoreCase(AbslView(value), AbslView(kScheme))) return Unauthenticated("CREDENTIALS_MALFORMED", "the authorization entry must be: Bearer, a blank, and the token");
  const std::string_view token = value.substr(kScheme.size());
  if (token.empty() || token.find(' ') != token.npos) return Unauthenticated("CREDENTIALS_MALFORMED", "the authorization entry holds no token, or blanks in it; it must be: Bearer, a blank, and the token");
  return std::string(token);
}

absl::StatusOr<Credentials> CredentialsOf(const std::vector<std::string_view>& authorization, const grpc_auth_context* context) {
  Credentials credentials;
  ATTUNE_ASSIGN_OR_RETURN(credentials.bearer_token, BearerToken(authorization));
  if (context == nullptr) return credentials;
  AddHandshake(
      [context](const char* name) {
        std::vector<std::string> values;
        grpc_auth_property_iterator next = grpc_auth_context_find_properties_by_name(context, name);
        while (const grpc_auth_property* property = grpc_auth_property_iterator_next(&next)) values.emplace_back(property->value, property->value_length);
        return values;
      },
      credentials);
  return credentials;
}

absl::StatusOr<Credentials> CredentialsOf(const grpc::ServerContextBase& context) {
  std::vector<std::string_view> authorization;
  const auto [begin, end] = context.client_metadata().equal_range(kAuthorization);
  for (auto entry = begin; entry != end; ++entry) authorization.emplace_back(entry->second.data(), entry->second.size());
  Credentials credentials;
  ATTUNE_ASSIGN_OR_RETURN(credentials.bearer_token, BearerToken(authorization));
  const std::shared_ptr<const grpc::AuthContext> handshake = context.auth_context();
  if (handshake == nullptr) return credentials;
  AddHandshake(
      [&handshake](const char* name) {
        std::vector<std::string> values;
        for (const grpc::string_ref& value : handshake->FindPropertyValues(name)) values.emplace_back(value.data(), value.size());
        return values;
      },
      credentials);
  return credentials;
}

}  // namespace attune::auth
