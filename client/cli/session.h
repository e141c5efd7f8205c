// Session: one run of the program. Holds the global options, connects on first use, prints results and failures, and
// knows the exit codes. Owned by RunCli; commands get a reference. Not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/console.h"
#include "client/cpp/client.h"
#include "google/protobuf/message.h"

namespace attune::cli {

// Also in the help of `attune` and in README.md.
enum ExitCode : int {
  kOk = 0,
  kFailed = 1,       // the job failed, or the server did
  kUsage = 2,        // the command line or job file is wrong; nothing was sent
  kNotFound = 3,     // no such resource or file
  kRejected = 4,     // the server does not accept the request: invalid, exists already, or in the wrong state
  kUnreachable = 5,  // no answer from the server
  kCancelled = 6,    // the job was cancelled
};

ExitCode ExitCodeOf(const absl::Status& status);

class Session {
 public:
  Session(Console& console, client::ClientOptions options)
      : server(options.address), console_(console), options_(std::move(options)) {}

  // Connects at the first call. Does not fail for an unreachable server; the first request does.
  absl::StatusOr<client::Client*> client();

  Console& console() { return console_; }
  absl::Time Now() const { return console_.clock.Now(); }
  bool json() const { return output == "json"; }
  const Style& style() const { return console_.out_style; }

  // The result: `message` as JSON, or text.
  int Show(const google::protobuf::Message& message, const std::function<std::string()>& text);
  void PrintJson(const google::protobuf::Message& message);
  // One line, for streams of messages.
  void PrintJsonLine(const google::protobuf::Message& message);
  void Print(const std::string& text) { console_.out << text << std::flush; }
  // For people only: nothing when the output is JSON.
  void Note(const std::string& text);
  // To standard error, in three lines. `fix` empty: by the code. Returns the exit code.
  int Fail(const std::string& what, const absl::Status& why, const std::string& fix = "");

  // Options that every command takes; CLI11 writes them.
  std::string server;
  bool tls = false;
  std::string ca_file, client_certificate_file, client_key_file, token_file;
  std::string output = "text";
  bool quiet = false;
  // What stood behind "--", untouched; only predict takes it.
  std::vector<std::string> literals;
  // What the command line asks for; set by the chosen command, run after parsing.
  std::function<int()> action;

 private:
  absl::Status LoadCredentials();

  Console& console_;
  client::ClientOptions options_;
  std::unique_ptr<client::Client> client_;
};

}  // namespace attune::cli
