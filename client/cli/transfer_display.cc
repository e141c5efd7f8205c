#include "client/cli/transfer_display.h"

namespace attune::cli {
namespace {

constexpr absl::Duration kRedrawInterval = absl::Milliseconds(100);

}  // namespace

client::OnTransfer TransferDisplay::Transfers(const std::string& verb, bool each_file) {
  return [this, verb, each_file](const client::TransferProgress& progress) {
    if (state_.verb != verb || (each_file && state_.name != progress.name)) {
      Begin(verb, progress.name);
      first_done_ = progress.done_bytes;
    }
    state_.name = progress.name;
    state_.done = progress.done_bytes;
    state_.total = progress.total_bytes;
    Update();
  };
}

client::Client::ImportProgress TransferDisplay::Imports() {
  return [this](const v1::ImportDatasetResponse& response) {
    if (state_.verb != "reading") Begin("reading", "rows");
    state_.bytes = false;
    state_.done = response.rows_read();
    state_.total = 0;
    state_.fraction = response.fraction();
    Update();
  };
}

client::Client::EvaluationProgress TransferDisplay::Evaluations() {
  return [this](const v1::EvaluateProgress& progress) {
    if (state_.verb != "evaluating") Begin("evaluating", "rows");
    state_.bytes = false;
    state_.done = progress.rows_done();
    state_.total = progress.rows_total();
    Update();
  };
}

void TransferDisplay::Begin(const std::string& verb, const std::string& name) {
  Finish();
  state_ = {.verb = verb, .name = name};
  start_ = session_.Now();
  last_drawn_ = absl::InfinitePast();
  next_tenth_ = 1;
}

void TransferDisplay::Update() {
  if (session_.quiet) return;
  Console& console = session_.console();
  const absl::Time now = session_.Now();
  const double fraction = TransferFraction(state_);
  if (!console.err_is_terminal) {
    const int tenth = static_cast<int>(fraction * 10);
    if (tenth < next_tenth_) return;
    next_tenth_ = tenth + 1;
    console.err << TransferLine(state_) << "\n" << std::flush;
    return;
  }
  if (now - last_drawn_ < kRedrawInterval && fraction < 1) return;
  last_drawn_ = now;
  TransferState shown = state_;
  // The rate is that of this transfer, not of what an earlier one had left.
  const double seconds = absl::ToDoubleSeconds(now - start_);
  const int64_t moved = state_.done - first_done_;
  shown.seconds = moved > 0 ? seconds * static_cast<double>(state_.done) / static_cast<double>(moved) : 0;
  console.err << "\r\x1b[2K" << TransferBar(shown, console.err_style) << std::flush;
  line_open_ = true;
}

void TransferDisplay::Finish() {
  if (line_open_) session_.console().err << "\n" << std::flush;
  line_open_ = false;
}

}  // namespace attune::cli
