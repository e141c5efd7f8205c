#include "server/main/option_keys.h"

#include <algorithm>
#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/main/listen_address.h"
#include "server/main/security/security.h"

namespace attune {
namespace {

constexpr int64_t kLeastWorkerMemory = int64_t{512} << 20;

absl::Status CheckAddress(std::string_view value) { return ParseListenAddress(value).status(); }

absl::Status CheckTcpAddress(std::string_view value) {
  if (value.empty()) return absl::OkStatus();
  ATTUNE_ASSIGN_OR_RETURN(ListenAddress address, ParseListenAddress(value));
  if (address.unix_socket) return absl::InvalidArgumentError("must be HOST:PORT");
  return absl::OkStatus();
}

absl::Status CheckNotEmpty(std::string_view value) {
  return value.empty() ? absl::InvalidArgumentError("must not be empty") : absl::OkStatus();
}

std::vector<OptionKey> MakeKeys() {
  using O = ServerOptions;
  using Target = std::variant<std::string*, int64_t*, bool*>;
  return {
      {.name = "listen",
       .placeholder = "HOST:PORT",
       .help = "Where the API listens: HOST:PORT, or unix:PATH. Port 0 takes a free one. Default 127.0.0.1:50051.",
       .target = [](O& o) -> Target { return &o.listen.address; },
       .check = CheckAddress},
      {.name = "port_file",
       .placeholder = "FILE",
       .help = "Write the port to this file once the server answers. Default: none.",
       .target = [](O& o) -> Target { return &o.listen.port_file; }},
      {.name = "allow_insecure_network",
       .placeholder = "true|false",
       .help = "Listen on an address that other machines reach without TLS, or without asking who calls; for trusted networks, and behind a proxy that does both. Default false.",
       .target = [](O& o) -> Target { return &o.listen.allow_insecure_network; }},
      {.name = "auth",
       .placeholder = "RULE",
       .help = "Whether callers must show who they are: \"none\", or \"required\" (an API token, a JWT or a client certificate; the first start writes an administrator's token to "
               "DATA_DIR/admin.token). Default none.",
       .target = [](O& o) -> Target { return &o.security.auth; },
       .choices = {"none", "required"}},
      {.name = "tls_certificate_file",
       .placeholder = "FILE",
       .help = "PEM file of the server's certificate and its issuers': then the API speaks TLS 1.3 alone. A new file is taken while the server runs. Default: none, plaintext.",
       .target = [](O& o) -> Target { return &o.security.tls_certificate_file; }},
      {.name = "tls_key_file",
       .placeholder = "FILE",
       .help = "PEM file of the certificate's private key, without a passphrase. Default: none.",
       .target = [](O& o) -> Target { return &o.security.tls_key_file; }},
      {.name = "tls_client_certificates",
       .placeholder = "RULE",
       .help = "Certificates of clients: \"none\", \"request\" (checked where shown) or \"require\" (no connection without). Default none.",
       .target = [](O& o) -> Target { return &o.security.tls_client_certificates; },
       .choices = {"none", "request", "require"}},
      {.name = "tls_client_ca_file",
       .placeholder = "FILE",
       .help = "PEM file of the authorities that sign clients' certificates. Default: none.",
       .target = [](O& o) -> Target { return &o.security.tls_client_ca_file; }},
      {.name = "certificate_rules_file",
       .placeholder = "FILE",
       .help = "What a client certificate may do: a line for each rule, with a pattern of names, projects and scopes. Default: none, certificates say nothing of who calls.",
       .target = [](O& o) -> Target { return &o.security.certificate_rules_file; }},
      {.name = "jwt_issuer",
       .placeholder = "URL",
       .help = "Take JWTs of this issuer (their iss). Default: none are taken.",
       .target = [](O& o) -> Target { return &o.security.jwt_issuer; }},
      {.name = "jwt_audience",
       .placeholder = "TEXT",
       .help = "What JWTs must name as their audience (aud). Default: none.",
       .target = [](O& o) -> Target { return &o.security.jwt_audience; }},
      {.name = "jwt_jwks",
       .placeholder = "FILE|URL",
       .help = "The issuer's keys: a file, or an https URL, which is fetched again every ten minutes. Default: none.",
       .target = [](O& o) -> Target { return &o.security.jwt_jwks; }},
      {.name = "jwt_projects_claim",
       .placeholder = "NAME",
       .help = "Claim of a JWT with the projects of its owner. Default attune_projects.",
       .target = [](O& o) -> Target { return &o.security.jwt_projects_claim; },
       .check = CheckNotEmpty},
      {.name = "jwt_scopes_claim",
       .placeholder = "NAME",
       .help = "Claim of a JWT with what its owner may do: read, write or admin. Default scope.",
       .target = [](O& o) -> Target { return &o.security.jwt_scopes_claim; },
       .check = CheckNotEmpty},
      {.name = "jwt_scope_prefix",
       .placeholder = "TEXT",
       .help = "What stands before this server's scopes in that claim, such as \"attune.\". Default: nothing.",
       .target = [](O& o) -> Target { return &o.security.jwt_scope_prefix; }},
      {.name = "jwt_leeway_seconds",
       .placeholder = "SECONDS",
       .help = "How far the issuer's clock may be from this server's. Default 30.",
       .target = [](O& o) -> Target { return &o.security.jwt_leeway_seconds; },
       .least = 0,
       .most = 300},
      {.name = "quotas_file",
       .placeholder = "FILE",
       .help = "YAML file of what each project may take: calls a second, uploads, watches, bytes, jobs. Default: none, no limits.",
       .target = [](O& o) -> Target { return &o.security.quotas_file; }},
      {.name = "data_dir",
       .placeholder = "DIR",
       .help = "Directory of everything that the server keeps; made if need be. One server at a time. Default \"data\".",
       .target = [](O& o) -> Target { return &o.storage.data_dir; },
       .check = CheckNotEmpty},
      {.name = "upload_expiry_hours",
       .placeholder = "HOURS",
       .help = "Uploads are removed this long after their last byte; what was imported from them stays. Default 24.",
       .target = [](O& o) -> Target { return &o.storage.upload_expiry_hours; },
       .least = 1,
       .most = 24 * 365},
      {.name = "upload_idle_seconds",
       .placeholder = "SECONDS",
       .help = "An upload's stream ends when nothing has come for this long; what has come stays, and another stream goes on from there. Default 120.",
       .target = [](O& o) -> Target { return &o.storage.upload_idle_seconds; },
       .least = 1,
       .most = 86400},
      {.name = "max_upload_bytes",
       .placeholder = "BYTES",
       .help = "Largest file that can be uploaded. Default 274877906944 (256 GiB).",
       .target = [](O& o) -> Target { return &o.storage.max_upload_bytes; },
       .least = 1,
       .most = int64_t{1} << 50},
      {.name = "max_dataset_rows",
       .placeholder = "N",
       .help = "Most rows of one import, which has some 80 bytes of each in memory; of images a fifth as many, which take 300. Two imports run at once. Default 30000000 (so 2.4 GB each).",
       .target = [](O& o) -> Target { return &o.storage.max_dataset_rows; },
       .least = 1,
       .most = 4294967295},
      {.name = "worker_binary",
       .placeholder = "FILE",
       .help = "The program that trains. Default: attune-worker in this program's directory.",
       .target = [](O& o) -> Target { return &o.workers.binary; }},
      {.name = "job_slots",
       .placeholder = "N",
       .help = "Jobs that run at once; others wait. Default 1.",
       .target = [](O& o) -> Target { return &o.workers.job_slots; },
       .least = 1,
       .most = 64},
      {.name = "worker_threads",
       .placeholder = "N",
       .help = "CPU threads of a job that asks for no number. Default 0: all cores, shared between the job slots.",
       .target = [](O& o) -> Target { return &o.workers.threads; },
       .least = 0,
       .most = 1024},
      {.name = "warm_workers",
       .placeholder = "N",
       .help = "Workers kept started and idle, so that a job begins at once; each takes some 200 MB. Default 1.",
       .target = [](O& o) -> Target { return &o.workers.warm_workers; },
       .least = 1,
       .most = 64},
      {.name = "prediction_workers",
       .placeholder = "N",
       .help = "Checkpoints that are kept loaded for predictions, each in a worker of its own, where workers are in sandboxes; one beyond them waits for a fresh worker, some 0.7 s. Default 2.",
       .target = [](O& o) -> Target { return &o.workers.prediction_workers; },
       .least = 1,
       .most = 64},
      {.name = "worker_memory_bytes",
       .placeholder = "BYTES",
       .help = "Memory that a worker may have for its data, at least 536870912 (512 MiB). Where a job needs more, it computes its batches in parts. Default 0: no limit.",
       .target = [](O& o) -> Target { return &o.workers.memory_bytes; },
       .least = 0,
       .most = int64_t{1} << 50},
      {.name = "share_devices_by",
       .placeholder = "RULE",
       .help = "What lets jobs run side by side on a device: \"memory\" (while what they take adds up to what it has; a plan measures it where nobody has said it) or \"slots\" "
               "(any, as long as there are slots). Default memory.",
       .target = [](O& o) -> Target { return &o.workers.share_devices_by; },
       .choices = {"memory", "slots"}},
      {.name = "worker_sandbox",
       .placeholder = "RULE",
       .help = "What keeps workers from files that are not their job's, and from the network: \"auto\" (what the kernel has of Landlock and seccomp), \"required\" (the server does not "
               "start unless it has all) or \"off\". Default auto.",
       .target = [](O& o) -> Target { return &o.workers.sandbox; },
       .choices = {"auto", "required", "off"}},
      {.name = "worker_user",
       .placeholder = "NAME",
       .help = "Whom workers run as where the server is root, by name or number: somebody who has no other processes is best. Without effect elsewhere, and with --worker-sandbox off. Default nobody.",
       .target = [](O& o) -> Target { return &o.workers.user; },
       .check = CheckNotEmpty},
      {.name = "job_memory_bytes",
       .placeholder = "BYTES",
       .help = "Memory of the machine that jobs on the CPU may take together. Default 0: nine tenths of what the machine, or its container, has.",
       .target = [](O& o) -> Target { return &o.workers.job_memory_bytes; },
       .least = 0,
       .most = int64_t{1} << 50},
      {.name = "feature_cache_bytes",
       .placeholder = "BYTES",
       .help = "Disk for the outputs of frozen layers, which later epochs and jobs then need not compute again; the longest unused go first. Default 8589934592 (8 GiB); "
               "0 turns it off.",
       .target = [](O& o) -> Target { return &o.workers.feature_cache_bytes; },
       .least = 0,
       .most = int64_t{1} << 50},
      {.name = "metrics_listen",
       .placeholder = "HOST:PORT",
       .help = "Serve Prometheus metrics at http://HOST:PORT/metrics. Port 0 takes a free one. Default: empty, none are served.",
       .target = [](O& o) -> Target { return &o.operation.metrics_listen; },
       .check = CheckTcpAddress},
      {.name = "log_level",
       .placeholder = "LEVEL",
       .help = "Least level of lines in the log: debug, info, warning or error. Default info.",
       .target = [](O& o) -> Target { return &o.operation.log_level; },
       .choices = {"debug", "info", "warning", "error"}},
      {.name = "drain_grace_seconds",
       .placeholder = "SECONDS",
       .help = "At SIGTERM, how long running jobs may take to write a last checkpoint. Default 20; 0 cuts them off.",
       .target = [](O& o) -> Target { return &o.operation.drain_grace_seconds; },
       .least = 0,
       .most = 3600},
  };
}

std::string Got(std::string_view text) { return StrCat("; got \"", absl::CHexEscape(AbslView(text.substr(0, 100))), "\""); }

absl::Status Wrong(std::string_view shown_name, std::string_view must, std::string_view text) {
  return absl::InvalidArgumentError(StrCat(shown_name, " ", must, Got(text)));
}

}  // namespace

std::string OptionKey::Flag() const { return StrCat("--", absl::StrReplaceAll(name, {{"_", "-"}})); }

const std::vector<OptionKey>& OptionKeys() {
  static const std::vector<OptionKey>& keys = *new std::vector<OptionKey>(MakeKeys());
  return keys;
}

const OptionKey* FindOption(std::string_view name) {
  for (const OptionKey& key : OptionKeys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

absl::Status SetOption(const OptionKey& key, std::string_view shown_name, std::string_view text, ServerOptions& options) {
  auto target = key.target(options);
  if (auto* number = std::get_if<int64_t*>(&target)) {
    int64_t value = 0;
    if (!absl::SimpleAtoi(AbslView(text), &value) || value < key.least || value > key.most) {
      return Wrong(shown_name, StrCat("must be a whole number from ", key.least, " to ", key.most), text);
    }
    **number = value;
    return absl::OkStatus();
  }
  if (auto* on = std::get_if<bool*>(&target)) {
    if (text != "true" && text != "false") return Wrong(shown_name, "must be true or false", text);
    **on = text == "true";
    return absl::OkStatus();
  }
  if (!key.choices.empty() && std::find(key.choices.begin(), key.choices.end(), text) == key.choices.end()) {
    return Wrong(shown_name, StrCat("must be one of ", absl::StrJoin(key.choices, ", ")), text);
  }
  if (text.find('\0') != text.npos) return Wrong(shown_name, "must not have NUL characters", text);
  if (key.check != nullptr) {
    absl::Status status = key.check(text);
    if (!status.ok()) return Wrong(shown_name, std::string(status.message()), text);
  }
  *std::get<std::string*>(target) = std::string(text);
  return absl::OkStatus();
}

absl::Status CheckOptions(const ServerOptions& options) {
  ATTUNE_ASSIGN_OR_RETURN(ListenAddress address, ParseListenAddress(options.listen.address));
  ATTUNE_RETURN_IF_ERROR(CheckSecurityOptions(options.security));
  const bool encrypts = !options.security.tls_certificate_file.empty(), asks = options.security.auth == "required";
  if (!address.loopback && !options.listen.allow_insecure_network && !(encrypts && asks)) {
    const std::string_view lacks = encrypts ? "does not ask who calls (--auth required)"
                                   : asks   ? "does not encrypt (--tls-certificate-file, --tls-key-file)"
                                            : "neither encrypts (--tls-certificate-file, --tls-key-file) nor asks who calls (--auth required)";
    return absl::InvalidArgumentError(StrCat("listen: ", options.listen.address, " can be reached from other machines, and this server ", lacks,
                                             ". Give both, or listen on 127.0.0.1 (and let a proxy do both), or give --allow-insecure-network if the network itself is trusted"));
  }
  if (const int64_t memory = options.workers.memory_bytes; memory > 0 && memory < kLeastWorkerMemory) {
    return absl::InvalidArgumentError(StrCat("worker_memory_bytes: ", memory, " bytes hold no worker; give at least ", kLeastWorkerMemory, " (512 MiB), or 0 for no limit"));
  }
  if (address.unix_socket && !options.listen.port_file.empty()) {
    return absl::InvalidArgumentError("port_file: a Unix socket has no port; listen on HOST:PORT, or leave port_file out");
  }
  return absl::OkStatus();
}

}  // namespace attune
