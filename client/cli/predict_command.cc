// attune predict CHECKPOINT TEXT..., or --image FILE...

#include <fstream>
#include <istream>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "client/cli/app.h"
#include "client/cli/render/result_text.h"
#include "client/cli/session.h"
#include "client/cpp/names.h"
#include "client/cpp/predict.h"
#include "google/protobuf/util/json_util.h"
#include "server/base/files.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

struct Flags {
  std::string checkpoint, file;
  std::vector<std::string> texts, pairs, images;
  int views = 0;
  bool all_scores = false;
};

// One text a line, or with `json` one object with text and text_pair. Empty lines are skipped.
absl::Status ReadInputs(std::istream& in, const std::string& name, bool json, v1::PredictRequest* request) {
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    if (!json) {
      request->add_inputs()->set_text(line);
      continue;
    }
    google::protobuf::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;  // data files have labels too
    const auto status = google::protobuf::util::JsonStringToMessage(line, request->add_inputs(), options);
    if (!status.ok()) return absl::InvalidArgumentError(StrCat(name, ":", number, ": ", std::string(status.message())));
  }
  return absl::OkStatus();
}

absl::Status AddFile(Session& session, const std::string& path, v1::PredictRequest* request) {
  if (path == "-") return ReadInputs(session.console().in, "(standard input)", false, request);
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(StrCat(path, " cannot be read"));
  return ReadInputs(file, path, absl::EndsWith(path, ".jsonl"), request);
}

absl::StatusOr<v1::PredictRequest> MakeRequest(Session& session, Flags flags) {
  flags.texts.insert(flags.texts.end(), session.literals.begin(), session.literals.end());
  v1::PredictRequest request;
  request.set_checkpoint(client::CheckpointName(flags.checkpoint));
  if (!flags.pairs.empty() && flags.pairs.size() != flags.texts.size()) {
    return absl::InvalidArgumentError(
        StrCat(flags.texts.size(), " texts and ", flags.pairs.size(), " second texts: give one --pair for each"));
  }
  for (size_t i = 0; i < flags.texts.size(); ++i) {
    v1::TextInput& input = *request.add_inputs();
    input.set_text(flags.texts[i]);
    if (!flags.pairs.empty()) input.set_text_pair(flags.pairs[i]);
  }
  if (!flags.file.empty()) {
    const absl::Status status = AddFile(session, flags.file, &request);
    if (!status.ok()) return status;
  }
  if (request.inputs().empty() && flags.images.empty()) return absl::InvalidArgumentError("no text is given, and no image");
  if (!request.inputs().empty() && !flags.images.empty()) {
    return absl::InvalidArgumentError("texts and images are given: a model takes one of the two");
  }
  if (flags.views > 1 && flags.images.empty()) return absl::InvalidArgumentError("--views is for images, and texts are given");
  return request;
}

int Fail(Session& session, const absl::Status& status) {
  return session.Fail("cannot predict", status,
                      absl::IsNotFound(status) ? "`attune checkpoints list JOB` shows the checkpoints of a job" : "");
}

int PredictImages(Session& session, client::Client& client, const std::string& checkpoint, const Flags& flags) {
  for (const std::string& path : flags.images) {
    if (FileExists(path)) continue;
    session.Fail("there is nothing to predict", absl::NotFoundError(StrCat(path, " cannot be read")),
                 "attune predict JOB --image FILE...");
    return kNotFound;
  }
  auto response = client::PredictImageFiles(client, checkpoint, flags.images, flags.views);
  if (!response.ok()) return Fail(session, response.status());
  return session.Show(*response,
                      [&] { return PredictionTable("IMAGE", flags.images, *response, flags.all_scores, session.style()); });
}

int PredictTexts(Session& session, client::Client& client, const v1::PredictRequest& request, const Flags& flags) {
  auto response = client.Predict(request);
  if (!response.ok()) return Fail(session, response.status());
  std::vector<std::string> texts;
  for (const v1::TextInput& input : request.inputs())
    texts.push_back(input.text_pair().empty() ? input.text() : StrCat(input.text(), " | ", input.text_pair()));
  return session.Show(*response,
                      [&] { return PredictionTable("TEXT", texts, *response, flags.all_scores, session.style()); });
}

}  // namespace

void AddPredictCommand(CLI::App& root, Session& session) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app = AddCommand(
      root, "predict", "Classify texts or images with a checkpoint", session, [=, &session](client::Client& client) -> int {
        auto request = MakeRequest(session, *flags);
        if (!request.ok()) {
          session.Fail("there is nothing to predict", request.status(),
                       "attune predict JOB \"first text\" \"second text\", or --file FILE, or --image FILE...");
          return absl::IsNotFound(request.status()) ? kNotFound : kUsage;
        }
        return flags->images.empty() ? PredictTexts(session, client, *request, *flags)
                                     : PredictImages(session, client, request->checkpoint(), *flags);
      });
  app->add_option("checkpoint", flags->checkpoint, "JOB, JOB/STEP, JOB/best or JOB/last; JOB alone means its best")
      ->required();
  app->add_option("texts", flags->texts, "Texts; one that begins with '-' goes after --");
  app->add_option("--pair", flags->pairs, "Second text, for models of pairs; one for each text")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  app->add_option("--image", flags->images,
                  "Image files (JPEG, PNG, WebP or BMP), 16 MiB at most each, for models of images")
      ->type_name("FILE");
  app->add_option("--views", flags->views, "Average over this many views of each image (mirrored, cropped). Default: 1")
      ->check(Silent(CLI::Range(1, 32)))
      ->type_name("N");
  app->add_option("--file", flags->file,
                  "File with a text on each line, or JSONL with text and text_pair. -: standard input")
      ->type_name("FILE");
  app->add_flag("--scores", flags->all_scores, "Show the probability of every class");
}

}  // namespace attune::cli
