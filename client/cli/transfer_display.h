// Shows transfers on standard error: a bar that is redrawn on a terminal, else a line each 10 %. Nothing with --quiet.
// Not thread-safe.
//
//   TransferDisplay display(session);
//   UploadFile(client, path, {.progress = display.Uploads()});
//   display.Finish();
#pragma once

#include <string>

#include "absl/time/time.h"
#include "client/cli/render/transfer_text.h"
#include "client/cli/session.h"
#include "client/cpp/upload.h"

namespace attune::cli {

class TransferDisplay {
 public:
  explicit TransferDisplay(Session& session) : session_(session) {}
  ~TransferDisplay() { Finish(); }
  // Callbacks; this object must outlive their use.
  client::OnTransfer Uploads() { return Transfers("uploading", true); }
  client::OnTransfer Downloads() { return Transfers("downloading", false); }
  client::Client::ImportProgress Imports();
  client::Client::EvaluationProgress Evaluations();
  // Ends the line that is being redrawn.
  void Finish();

 private:
  client::OnTransfer Transfers(const std::string& verb, bool each_file);
  void Begin(const std::string& verb, const std::string& name);
  void Update();

  Session& session_;
  TransferState state_;
  absl::Time start_;
  absl::Time last_drawn_ = absl::InfinitePast();
  int64_t first_done_ = 0;  // what was there before: it says nothing about the speed
  int next_tenth_ = 1;
  bool line_open_ = false;
};

}  // namespace attune::cli
