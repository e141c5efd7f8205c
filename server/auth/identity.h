// Identity: who calls, and what they may do, once their credentials have been believed. A plain value; the functions are pure.
//
// A scope includes the narrower ones: who may administer may write, who may write may read. Projects are those of a job's scheduling.project; "*" stands for all.
// Errors: PERMISSION_DENIED with reason SCOPE_MISSING or PROJECT_DENIED, which say what the caller has and whom to ask; INVALID_ARGUMENT from the parsers and checks of fields.
//
//   ATTUNE_ASSIGN_OR_RETURN(Identity caller, authenticator.Authenticate(credentials));
//   ATTUNE_RETURN_IF_ERROR(RequireScope(caller, Scope::kWrite, "CreateUpload"));
//   ATTUNE_RETURN_IF_ERROR(RequireProject(caller, spec.scheduling().project()));
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace attune::auth {

enum class Scope : uint8_t { kRead, kWrite, kAdmin };  // from narrow to wide

std::string_view ScopeName(Scope scope);  // "read", "write", "admin"
absl::StatusOr<Scope> ParseScope(std::string_view name);

// Scopes as they were given. Which methods they reach is asked with Allows.
class ScopeSet {
 public:
  ScopeSet() = default;
  ScopeSet(std::initializer_list<Scope> scopes) {
    for (Scope scope : scopes) Add(scope);
  }
  void Add(Scope scope) { bits_ |= Bit(scope); }
  bool Has(Scope scope) const { return (bits_ & Bit(scope)) != 0; }
  // Whether `need` or a wider scope is here.
  bool Allows(Scope need) const { return bits_ >= Bit(need); }
  bool empty() const { return bits_ == 0; }
  friend bool operator==(ScopeSet a, ScopeSet b) { return a.bits_ == b.bits_; }

 private:
  static constexpr unsigned Bit(Scope scope) { return 1u << static_cast<unsigned>(scope); }
  unsigned bits_ = 0;
};

// "read,write", from narrow to wide; "" for none. ParseScopes takes the same, in any order: INVALID_ARGUMENT that names the word it does not know.
std::string ScopesToText(ScopeSet scopes);
absl::StatusOr<ScopeSet> ParseScopes(std::string_view text);

enum class IdentityKind : uint8_t { kNone, kToken, kJwt, kCertificate };
std::string_view KindName(IdentityKind kind);  // "none", "token", "jwt", "certificate"

inline constexpr std::string_view kAllProjects = "*";
inline constexpr std::string_view kDefaultProject = "default";  // of jobs that name none

struct Identity {
  std::string subject;  // who: a token's name, a JWT's sub, a certificate's name; printable
  IdentityKind kind = IdentityKind::kNone;
  std::vector<std::string> projects;  // ids, or the one entry "*"
  ScopeSet scopes;
  std::string credential_id;  // what was shown, for logs: a token's id, a JWT's jti or kid, a certificate's fingerprint. Public: it opens nothing.
};

// `project` "" is the default project.
bool MayUseProject(const Identity& identity, std::string_view project);
absl::Status RequireProject(const Identity& identity, std::string_view project);
// `what` is what the caller wanted, for the message.
absl::Status RequireScope(const Identity& identity, Scope need, std::string_view what);

// OK for "*" alone, or 1 to 100 project ids. INVALID_ARGUMENT that names what is wrong.
absl::Status CheckProjects(const std::vector<std::string>& projects);

}  // namespace attune::auth
