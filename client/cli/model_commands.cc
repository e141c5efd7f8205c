// attune models ...

#include <map>
#include <memory>
#include <vector>

#include "client/cli/app.h"
#include "client/cli/paging.h"
#include "client/cli/render/model_text.h"
#include "client/cli/session.h"
#include "client/cli/transfer_display.h"
#include "client/cpp/import.h"
#include "client/cpp/names.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr char kListHint[] = "`attune models list` shows the models there are";

std::string HintFor(const absl::Status& status) { return absl::IsNotFound(status) ? kListHint : ""; }

// What one does with a model that has just come in.
std::string NextSteps(const v1::Model& model) {
  const std::string name = client::ShortName(model.name());
  const bool takes_images = model.modality() == "image";
  return StrCat("\nNext\n  attune jobs create --base-model ", name, " --dataset ",
                takes_images ? "DATASET_OF_IMAGES" : "DATASET", " --watch\n  attune models layers ", name,
                "    # the layer groups that phases freeze and release\n");
}

void AddImport(CLI::App& group, Session& session) {
  struct Flags {
    std::string directory, id, display_name, project;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* app =
      AddCommand(group, "import", "Upload a model's directory, with transformers' or torchvision's weights, as a base model", session,
                 [=, &session](client::Client& client) -> int {
                   v1::ImportModelRequest request;
                   request.set_model_id(flags->id);
                   request.set_display_name(flags->display_name);
                   request.set_project(flags->project);
                   TransferDisplay display(session);
                   auto model = client::ImportModelDirectory(client, flags->directory, request, display.Uploads());
                   display.Finish();
                   if (!model.ok()) return session.Fail(StrCat("cannot import ", flags->directory), model.status());
                   return session.Show(*model, [&] {
                     return StrCat(ModelDetails(*model, session.style()), NextSteps(*model));
                   });
                 });
  app->add_option("directory", flags->directory, "Directory with config.json and model.safetensors; of a text model also tokenizer.json")
      ->required()
      ->type_name("DIR");
  app->add_option("--id", flags->id, "Name to use in other commands: a-z, 0-9 and '-'. Default: the directory's name");
  app->add_option("--display-name", flags->display_name, "Name for people. Default: the id");
  app->add_option("--project", flags->project, "Project that it shall belong to. Default: \"default\" where the token has it, else its only project; \"shared\" is for everybody to use");
}

void AddList(CLI::App& group, Session& session) {
  auto limit = std::make_shared<int>(50);
  CLI::App* app = AddCommand(
      group, "list", "List base models, newest first", session, [=, &session](client::Client& client) -> int {
        auto response = ListAll<v1::ListModelsResponse>(
            *limit, v1::ListModelsRequest(), [&](const auto& request) { return client.ListModels(request); },
            [](auto& page) { return page.mutable_models(); });
        if (!response.ok()) return session.Fail("cannot list the models", response.status());
        return session.Show(*response, [&] {
          return ModelTable({response->models().begin(), response->models().end()}, session.Now(), session.style());
        });
      });
  AddLimit(*app, limit.get());
}

void AddShow(CLI::App& group, Session& session) {
  auto name = std::make_shared<std::string>();
  CLI::App* app = AddCommand(group, "show", "Show a base model", session, [=, &session](client::Client& client) -> int {
    v1::GetModelRequest request;
    request.set_name(client::FullName(*name, "models"));
    auto model = client.GetModel(request);
    if (!model.ok()) return session.Fail("cannot show the model", model.status(), HintFor(model.status()));
    return session.Show(*model, [&] { return ModelDetails(*model, session.style()); });
  });
  app->add_option("model", *name, "Name of the model")->required();
}

void AddLayers(CLI::App& group, Session& session) {
  auto name = std::make_shared<std::string>();
  auto patterns = std::make_shared<std::vector<std::string>>();
  auto pooling = std::make_shared<v1::Pooling>(v1::POOLING_UNSPECIFIED);
  CLI::App* app =
      AddCommand(group, "layers", "Show parameter names and layer groups, and what freeze patterns match", session,
                 [=, &session](client::Client& client) -> int {
                   v1::DescribeLayersRequest request;
                   request.set_name(client::FullName(*name, "models"));
                   request.set_pooling(*pooling);
                   for (const std::string& pattern : *patterns) request.add_patterns(pattern);
                   auto layers = client.DescribeLayers(request);
                   if (!layers.ok())
                     return session.Fail("cannot show the layers", layers.status(), HintFor(layers.status()));
                   return session.Show(*layers, [&] { return LayerTable(*layers, session.style()); });
                 });
  app->add_option("model", *name, "Name of the model")->required();
  app->add_option("--match", *patterns, "Show what this pattern matches instead, for example 'encoder.layer.[0-3].*' or 'layer4.*'; may be repeated")
      ->type_name("PATTERN")
      ->allow_extra_args(false);
  const std::map<std::string, v1::Pooling> poolings = {{"first_token", v1::POOLING_FIRST_TOKEN}, {"mean", v1::POOLING_MEAN}, {"max", v1::POOLING_MAX}};
  app->add_option("--pooling", *pooling, "Show the layers of a job whose head has this pooling. Default: the model's own")
      ->transform(CLI::CheckedTransformer(poolings, CLI::ignore_case));
}

void AddDelete(CLI::App& group, Session& session) {
  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* app =
      AddCommand(group, "delete", "Remove models that no unfinished job uses", session,
                 [=, &session](client::Client& client) -> int {
                   for (const std::string& name : *names) {
                     v1::DeleteModelRequest request;
                     request.set_name(client::FullName(name, "models"));
                     const absl::Status status = client.DeleteModel(request);
                     if (!status.ok())
                       return session.Fail(StrCat("cannot delete ", request.name()), status, HintFor(status));
                     session.Note(StrCat("Deleted ", request.name(), "\n"));
                   }
                   if (session.json()) session.PrintJson(v1::DeleteModelResponse());
                   return kOk;
                 });
  app->add_option("models", *names, "Names of models")->required();
}

void AddArchitectures(CLI::App& group, Session& session) {
  AddCommand(group, "architectures", "List what this server can train", session,
             [&session](client::Client& client) -> int {
               auto response = client.ListArchitectures();
               if (!response.ok()) return session.Fail("cannot list the architectures", response.status());
               return session.Show(*response, [&] { return ArchitectureTable(*response, session.style()); });
             });
}

}  // namespace

void AddModelCommands(CLI::App& root, Session& session) {
  CLI::App* group = AddGroup(root, "models", "Import, show and delete base models");
  AddImport(*group, session);
  AddList(*group, session);
  AddShow(*group, session);
  AddLayers(*group, session);
  AddDelete(*group, session);
  AddArchitectures(*group, session);
}

}  // namespace attune::cli
