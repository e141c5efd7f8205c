// What attune-server can be told. Plain values; option_keys.h says how each is named in flags and files, its range, and what it means to a user.
#pragma once

#include <cstdint>
#include <string>

namespace attune {

struct ListenOptions {
  std::string address = "127.0.0.1:50051";  // HOST:PORT or unix:PATH; port 0 takes a free one
  std::string port_file;                    // empty: none
  bool allow_insecure_network = false;
};

struct StorageOptions {
  std::string data_dir = "data";
  int64_t upload_expiry_hours = 24;
  int64_t upload_idle_seconds = 120;
  int64_t max_upload_bytes = int64_t{256} << 30;
  int64_t max_dataset_rows = 30'000'000;
};

struct WorkerOptions {
  std::string binary;        // empty: attune-worker beside this program
  int64_t job_slots = 1;     // jobs that run at once
  int64_t threads = 0;       // CPU threads of a job; 0: the cores, shared between the slots
  int64_t warm_workers = 1;  // started and idle
  int64_t prediction_workers = 2;  // in sandboxes: one checkpoint each
  int64_t memory_bytes = 0;  // that a worker may have; 0: no limit
  std::string share_devices_by = "memory";  // or "slots"
  int64_t job_memory_bytes = 0;             // of the CPU, for all jobs together; 0: nine tenths of what there is
  std::string sandbox = "auto";             // or "required", "off"
  std::string user = "nobody";              // of workers, where the server is root
  int64_t feature_cache_bytes = int64_t{8} << 30;  // of frozen layers' outputs, below data_dir; 0: none
};

struct OperationOptions {
  std::string metrics_listen;  // HOST:PORT; empty: no metrics
  std::string log_level = "info";
  int64_t drain_grace_seconds = 20;
};

struct SecurityOptions {
  std::string auth = "none";  // or "required"
  std::string tls_certificate_file;  // PEM; empty: plaintext
  std::string tls_key_file;
  std::string tls_client_certificates = "none";  // or "request", "require"
  std::string tls_client_ca_file;
  std::string certificate_rules_file;  // empty: certificates say nothing of who calls
  std::string jwt_issuer;              // empty: no JWTs
  std::string jwt_audience;
  std::string jwt_jwks;  // file or https URL
  std::string jwt_projects_claim = "attune_projects";
  std::string jwt_scopes_claim = "scope";
  std::string jwt_scope_prefix;
  int64_t jwt_leeway_seconds = 30;
  std::string quotas_file;  // empty: none
};

struct ServerOptions {
  ListenOptions listen;
  SecurityOptions security;
  StorageOptions storage;
  WorkerOptions workers;
  OperationOptions operation;
};

}  // namespace attune
