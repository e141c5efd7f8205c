// attune checkpoints ...

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "client/cli/app.h"
#include "client/cli/paging.h"
#include "client/cli/render/format.h"
#include "client/cli/render/result_text.h"
#include "client/cli/session.h"
#include "client/cli/transfer_display.h"
#include "client/cpp/download.h"
#include "client/cpp/names.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr char kCheckpointHelp[] = "JOB/STEP, JOB/best or JOB/last; JOB alone means its best";

std::string HintFor(const absl::Status& status) {
  return absl::IsNotFound(status) ? "`attune checkpoints list JOB` shows the checkpoints of a job" : "";
}

void AddList(CLI::App& group, Session& session) {
  struct Flags {
    std::string job;
    int limit = 50;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* app = AddCommand(
      group, "list", "List a job's checkpoints, newest first", session, [=, &session](client::Client& client) -> int {
        v1::ListCheckpointsRequest request;
        request.set_parent(client::FullName(flags->job, "fineTuningJobs"));
        auto response = ListAll<v1::ListCheckpointsResponse>(
            flags->limit, request, [&](const auto& r) { return client.ListCheckpoints(r); },
            [](auto& page) { return page.mutable_checkpoints(); });
        if (!response.ok()) {
          return session.Fail("cannot list the checkpoints", response.status(),
                              absl::IsNotFound(response.status()) ? "`attune jobs list` shows the jobs there are" : "");
        }
        return session.Show(*response, [&] {
          return CheckpointTable({response->checkpoints().begin(), response->checkpoints().end()}, session.Now(),
                                 session.style());
        });
      });
  app->add_option("job", flags->job, "Name of the job")->required();
  AddLimit(*app, &flags->limit);
}

// How to use it in Python, by the files that came: transformers reads images where it finds how they are prepared.
std::string InPython(const std::vector<std::string>& paths, const std::string& directory) {
  const auto has = [&](const std::string& name) {
    return std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
      return path == name || absl::EndsWith(path, "/" + name);
    });
  };
  const bool texts = has("tokenizer.json");
  if (!texts && !has("preprocessor_config.json"))
    return StrCat("  from safetensors.torch import load_file\n  model.load_state_dict(load_file(\"", directory,
                  "/model.safetensors\"))\n");
  return StrCat("  from transformers import pipeline\n  pipeline(\"", texts ? "text" : "image", "-classification\", \"",
                directory, "\")(\"", texts ? "some text" : "photo.jpg", "\")\n");
}

std::string DownloadText(const client::DownloadResult& result, const std::string& directory, const Style& style) {
  std::string text;
  for (const std::string& path : result.paths) StrAppend(&text, "  ", path, "\n");
  StrAppend(&text, Paint(style, Colour::kBold, result.checkpoint.name()), " is in ", directory, " (",
            Bytes(result.received_bytes), " received",
            result.reused_bytes > 0 ? StrCat(", ", Bytes(result.reused_bytes), " were there") : "",
            ", SHA-256 right)\n",
            "\nNext, in Python\n", InPython(result.paths, directory));
  return text;
}

void AddDownload(CLI::App& group, Session& session) {
  struct Flags {
    std::string checkpoint, directory;
    bool resume_files = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* app =
      AddCommand(group, "download", "Download a checkpoint as a directory that transformers loads", session,
                 [=, &session](client::Client& client) -> int {
                   const std::string name = client::CheckpointName(flags->checkpoint);
                   TransferDisplay display(session);
                   client::DownloadOptions options;
                   options.resume_files = flags->resume_files;
                   options.progress = display.Downloads();
                   auto result = client::DownloadCheckpoint(client, name, flags->directory, options);
                   display.Finish();
                   if (!result.ok())
                     return session.Fail(StrCat("cannot download ", name), result.status(), HintFor(result.status()));
                   return session.Show(result->checkpoint,
                                       [&] { return DownloadText(*result, flags->directory, session.style()); });
                 });
  app->add_option("checkpoint", flags->checkpoint, kCheckpointHelp)->required();
  app->add_option("--to", flags->directory, "Directory for the files; it is made when it is not there")
      ->required()
      ->type_name("DIR");
  app->add_flag("--resume-files", flags->resume_files, "Also optimizer state and data cursor");
}

void AddPin(CLI::App& group, Session& session, bool pinned) {
  auto name = std::make_shared<std::string>();
  CLI::App* app = AddCommand(
      group, pinned ? "pin" : "unpin",
      pinned ? "Keep a checkpoint until it is unpinned or its job is deleted" : "Let retention remove a pinned checkpoint again",
      session, [=, &session](client::Client& client) -> int {
        v1::UpdateCheckpointRequest request;
        request.mutable_checkpoint()->set_name(client::CheckpointName(*name));
        request.mutable_checkpoint()->set_pinned(pinned);
        request.mutable_update_mask()->add_paths("pinned");
        const auto checkpoint = client.UpdateCheckpoint(request);
        if (!checkpoint.ok()) {
          return session.Fail(StrCat("cannot ", pinned ? "pin " : "unpin ", request.checkpoint().name()),
                              checkpoint.status(), HintFor(checkpoint.status()));
        }
        return session.Show(*checkpoint, [&] {
          return StrCat(checkpoint->name(), checkpoint->pinned() ? " is pinned\n" : " is not pinned\n");
        });
      });
  app->add_option("checkpoint", *name, kCheckpointHelp)->required();
}

void AddDelete(CLI::App& group, Session& session) {
  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* app =
      AddCommand(group, "delete", "Remove checkpoints", session, [=, &session](client::Client& client) -> int {
        for (const std::string& name : *names) {
          v1::DeleteCheckpointRequest request;
          request.set_name(client::CheckpointName(name));
          const absl::Status status = client.DeleteCheckpoint(request);
          if (!status.ok()) return session.Fail(StrCat("cannot delete ", request.name()), status, HintFor(status));
          session.Note(StrCat("Deleted ", request.name(), "\n"));
        }
        if (session.json()) session.PrintJson(v1::DeleteCheckpointResponse());
        return kOk;
      });
  app->add_option("checkpoints", *names, "JOB/STEP, each")
      ->required()
      // A job alone means its best checkpoint elsewhere; nobody should delete that by a slip.
      ->check([](const std::string& text) { return text.find('/') == std::string::npos ? "must be JOB/STEP" : ""; })
      ->type_name("JOB/STEP");
}

}  // namespace

void AddCheckpointCommands(CLI::App& root, Session& session) {
  CLI::App* group = AddGroup(root, "checkpoints", "List, download, pin and delete what jobs have made");
  AddList(*group, session);
  AddDownload(*group, session);
  AddPin(*group, session, true);
  AddPin(*group, session, false);
  AddDelete(*group, session);
}

}  // namespace attune::cli
