// attune jobs verify-resume: trains a piece of a job again and compares.

#include <memory>

#include "client/cli/app.h"
#include "client/cli/render/style.h"
#include "client/cli/render/table.h"
#include "client/cli/session.h"
#include "client/cpp/names.h"
#include "client/cpp/verify_resume.h"
#include "nlohmann/json.hpp"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr size_t kShown = 12;  // of a digest

std::string Digest(const std::string& sha256) { return sha256.empty() ? "none" : sha256.substr(0, kShown); }

std::string ProofText(const client::ResumeProof& proof, const Style& style) {
  Table table({{"FILE"}, {""}, {"OF THE JOB"}, {"REPLAYED"}});
  for (const client::FileProof& file : proof.files) {
    table.AddRow({file.path, file.equal() ? Paint(style, Colour::kGreen, "equal") : Paint(style, Colour::kRed, "different"), Digest(file.expected), Digest(file.replayed)});
  }
  return StrCat(table.Render(style), "\n", proof.from, " leads to ", proof.to, proof.equal() ? ", to the bit\n" : " with other bytes\n");
}

// The table as a document: no message of the API has it.
std::string ProofJson(const client::ResumeProof& proof) {
  nlohmann::ordered_json document = {{"from", proof.from}, {"to", proof.to}, {"equal", proof.equal()}, {"files", nlohmann::ordered_json::array()}};
  for (const client::FileProof& file : proof.files) {
    document["files"].push_back({{"path", file.path}, {"equal", file.equal()}, {"expectedSha256", file.expected}, {"replayedSha256", file.replayed}});
  }
  return document.dump(2) + "\n";
}

}  // namespace

void AddVerifyResumeCommand(CLI::App& jobs, Session& session) {
  auto job = std::make_shared<std::string>();
  auto options = std::make_shared<client::VerifyResumeOptions>();
  CLI::App* app = AddCommand(jobs, "verify-resume", "Train from one checkpoint to the next again, and compare the files to the bit", session,
                             [=, &session](client::Client& client) -> int {
                               options->on_start = [&session](const v1::FineTuningJob& helper, int64_t from, int64_t to) {
                                 session.Note(StrCat(helper.name(), " trains steps ", from, " to ", to, " again; it is deleted afterwards\n"));
                               };
                               const auto proof = client::VerifyResume(client, client::FullName(*job, "fineTuningJobs"), *options);
                               if (!proof.ok()) {
                                 return session.Fail("cannot verify that the job resumes", proof.status(),
                                                     absl::IsNotFound(proof.status()) ? "`attune checkpoints list JOB` shows the checkpoints of a job" : "");
                               }
                               session.Print(session.json() ? ProofJson(*proof) : ProofText(*proof, session.style()));
                               return proof->equal() ? kOk : kFailed;
                             });
  app->add_option("job", *job, "Name of the job")->required();
  app->add_option("--from", options->from_step, "Step of the checkpoint to begin with. Default: the last one but one")->check(Silent(CLI::NonNegativeNumber))->type_name("STEP");
}

}  // namespace attune::cli
