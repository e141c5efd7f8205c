// attune jobs evaluate JOB|CHECKPOINT

#include <memory>
#include <string>

#include "client/cli/app.h"
#include "client/cli/render/evaluation_text.h"
#include "client/cli/session.h"
#include "client/cli/transfer_display.h"
#include "client/cpp/names.h"

namespace attune::cli {
namespace {

constexpr int kMaxSuspects = 1000;
constexpr int kMaxBatch = 1024;

struct Flags {
  std::string checkpoint, dataset, split;
  int suspects = 0;  // 0: none are looked for
  int batch_size = 0;
};

v1::EvaluateRequest RequestOf(const Flags& flags) {
  v1::EvaluateRequest request;
  request.set_checkpoint(client::CheckpointName(flags.checkpoint));
  request.set_dataset(client::FullName(flags.dataset, "datasets"));
  if (flags.split == "train") request.set_split(v1::SPLIT_TRAIN);
  if (flags.split == "validation") request.set_split(v1::SPLIT_VALIDATION);
  if (flags.split == "test") request.set_split(v1::SPLIT_TEST);
  request.set_find_suspects(flags.suspects > 0);
  request.set_suspect_count(flags.suspects);
  if (flags.batch_size > 0) request.set_batch_size(flags.batch_size);
  return request;
}

int Evaluate(Session& session, client::Client& client, const Flags& flags) {
  TransferDisplay display(session);
  auto result = client.Evaluate(RequestOf(flags), display.Evaluations());
  display.Finish();
  if (!result.ok()) {
    return session.Fail("cannot evaluate", result.status(),
                        absl::IsNotFound(result.status()) ? "`attune checkpoints list JOB` shows the checkpoints of a job, `attune datasets list` the datasets" : "");
  }
  return session.Show(*result, [&] { return CheckpointEvaluationText(*result, session.style()); });
}

}  // namespace

void AddEvaluateCommand(CLI::App& jobs, Session& session) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app = AddCommand(jobs, "evaluate", "Judge a checkpoint on all rows of a split, and find labels that look wrong", session,
                             [=, &session](client::Client& client) -> int { return Evaluate(session, client, *flags); });
  app->add_option("checkpoint", flags->checkpoint, "JOB, JOB/STEP, JOB/best or JOB/last; JOB alone means its best")->required();
  app->add_option("--dataset", flags->dataset, "Dataset with the same classes. Default: the job's own")->type_name("DATASET");
  SetChoices(app->add_option("--split", flags->split, "Rows to judge on. Default: test where it has rows, otherwise validation"), {"train", "validation", "test"});
  app->add_option("--suspects", flags->suspects,
                  "Look through the training rows too, and show so many at most whose labels look wrong, 1 to 1000")
      ->check(Silent(CLI::Range(1, kMaxSuspects)))
      ->type_name("N");
  app->add_option("--batch-size", flags->batch_size, "Rows in one forward pass, 1 to 1024. Default: 64")->check(Silent(CLI::Range(1, kMaxBatch)))->type_name("N");
  app->add_flag_callback("--json", [&session] { session.output = "json"; }, "The same as --output json");
}

}  // namespace attune::cli
