// attune datasets ...

#include <memory>
#include <vector>

#include "client/cli/app.h"
#include "client/cli/paging.h"
#include "client/cli/render/dataset_text.h"
#include "client/cli/render/error_text.h"
#include "client/cli/session.h"
#include "client/cli/spec/spec_values.h"
#include "client/cli/transfer_display.h"
#include "client/cpp/error.h"
#include "client/cpp/import.h"
#include "client/cpp/names.h"
#include "google/protobuf/descriptor.h"
#include "server/base/files.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int kIssuesShown = 100;
constexpr int kThumbnailPixels = 128;
constexpr char kListHint[] = "`attune datasets list` shows the datasets there are";

struct UploadFlags {
  std::vector<std::string> files, train, validation, test, class_names;
  std::string id, display_name, project, format, text_column, text_pair_column, image_column, label_column, split_column,
      label_kind, max_bad_rows, tokenizer_model;
  double validation_fraction = 0, test_fraction = 0;
  uint64_t split_seed = 0;
};

// An enum's value by its short form, which CLI11 has checked.
template <typename Enum>
Enum EnumOf(const std::string& text) {
  const auto& type = *google::protobuf::GetEnumDescriptor<Enum>();
  for (int i = 0; i < type.value_count(); ++i) {
    if (!text.empty() && ShortEnumName(*type.value(i)) == text) return static_cast<Enum>(type.value(i)->number());
  }
  return static_cast<Enum>(0);
}

std::vector<client::DatasetFile> Files(const UploadFlags& flags) {
  std::vector<client::DatasetFile> files;
  for (const std::string& path : flags.files) files.push_back({path, v1::SPLIT_UNSPECIFIED});
  for (const std::string& path : flags.train) files.push_back({path, v1::SPLIT_TRAIN});
  for (const std::string& path : flags.validation) files.push_back({path, v1::SPLIT_VALIDATION});
  for (const std::string& path : flags.test) files.push_back({path, v1::SPLIT_TEST});
  return files;
}

v1::ImportDatasetRequest Request(const UploadFlags& flags, const CLI::App& command) {
  v1::ImportDatasetRequest request;
  request.set_dataset_id(flags.id);
  request.set_display_name(flags.display_name);
  request.set_project(flags.project);
  request.set_format(EnumOf<v1::FileFormat>(flags.format));
  request.set_text_column(flags.text_column);
  request.set_text_pair_column(flags.text_pair_column);
  request.set_image_column(flags.image_column);
  for (const std::string& name : flags.class_names) request.add_class_names(name);
  request.set_label_column(flags.label_column);
  request.set_split_column(flags.split_column);
  request.set_label_kind(EnumOf<v1::LabelKind>(flags.label_kind));
  request.set_tokenizer_model(client::FullName(flags.tokenizer_model, "models"));
  request.set_split_seed(flags.split_seed);
  if (command.count("--validation-fraction") > 0) request.set_validation_fraction(flags.validation_fraction);
  if (command.count("--test-fraction") > 0) request.set_test_fraction(flags.test_fraction);
  if (!flags.max_bad_rows.empty())
    request.set_max_bad_rows(flags.max_bad_rows == "any" ? -1 : std::stoll(flags.max_bad_rows));
  return request;
}

// Bad rows come as a few violations in the error; the failed dataset's report has a hundred of them, with file and
// line.
int FailImport(Session& session, client::Client& client, const absl::Status& status) {
  const client::Error error = client::DescribeError(status);
  auto name = error.metadata.find("dataset");
  if (error.reason != "BAD_ROWS" || name == error.metadata.end())
    return session.Fail("cannot make the dataset", status);
  v1::GetDatasetRequest request;
  request.set_name(name->second);
  auto dataset = client.GetDataset(request);
  if (!dataset.ok()) return session.Fail("cannot make the dataset", status);
  const char* things = dataset->modality() == "image" ? "images" : "rows";
  const int code = session.Fail(
      "cannot make the dataset", absl::Status(status.code(), status.message()),
      StrCat("mend these ", things, " and upload again, or leave bad ", things, " out with --max-bad-rows N (or any)"));
  if (!session.json())
    session.console().err << IssueList(dataset->report(), kIssuesShown, session.console().err_style) << std::flush;
  return code;
}

int Upload(Session& session, client::Client& client, const UploadFlags& flags, const CLI::App& command) {
  const std::vector<client::DatasetFile> files = Files(flags);
  if (files.empty()) {
    session.Fail("there is nothing to upload", absl::InvalidArgumentError("no file is given"),
                 "name files, or give them by split with --train, --validation and --test");
    return kUsage;
  }
  TransferDisplay display(session);
  auto dataset =
      client::ImportDatasetFiles(client, files, Request(flags, command), {display.Uploads(), display.Imports()});
  display.Finish();
  if (!dataset.ok()) return FailImport(session, client, dataset.status());
  return session.Show(*dataset, [&] {
    return StrCat(DatasetReport(*dataset, session.style()),
                  "\nNext\n  attune jobs create --base-model MODEL --dataset ", client::ShortName(dataset->name()),
                  " --watch\n");
  });
}

void AddUpload(CLI::App& group, Session& session) {
  auto flags = std::make_shared<UploadFlags>();
  auto self = std::make_shared<CLI::App*>();
  CLI::App* app = AddCommand(
      group, "upload", "Upload texts or images and make a dataset of them: every row and every image is checked",
      session, [=, &session](client::Client& client) { return Upload(session, client, *flags, **self); });
  app->alias("import");
  *self = app;
  app->add_option(
         "files", flags->files,
         "Texts: JSONL, CSV or TSV files with a header, also .gz or .zst. Images: a folder, or a .tar, .tar.gz, "
         ".tar.zst or .zip, with train/CLASS/1.jpg or CLASS/1.jpg in it, or a manifest; or IDX files")
      ->type_name("FILE");
  app->add_option("--train", flags->train, "File with training rows; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app->add_option("--validation", flags->validation, "File with validation rows; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app->add_option("--test", flags->test, "File with test rows; may be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app->add_option("--id", flags->id, "Name to use in other commands: a-z, 0-9 and '-'. Default: the server chooses");
  app->add_option("--display-name", flags->display_name, "Name for people. Default: the first file's name");
  app->add_option("--project", flags->project, "Project that it shall belong to. Default: \"default\" where the token has it, else its only project; \"shared\" is for everybody to use");
  app->add_option("--text-column", flags->text_column, "Column with the text. Default: text");
  app->add_option("--text-pair-column", flags->text_pair_column,
                  "Column with the second text of a pair. Default: text_pair, if there is one");
  app->add_option("--image-column", flags->image_column,
                  "Column of a manifest with the images' paths. Default: file_name");
  app->add_option("--class-name", flags->class_names,
                  "Name of a class of IDX files, once for each, from 0 up. Default: the numbers")
      ->type_name("NAME")
      ->allow_extra_args(false);
  app->add_option("--label-column", flags->label_column, "Column with the label. Default: label");
  SetChoices(app->add_option("--label-kind", flags->label_kind, "What labels are. Default: by the data"),
             EnumChoices(*v1::LabelKind_descriptor()));
  SetChoices(app->add_option("--format", flags->format, "File format. Default: by the names"),
             EnumChoices(*v1::FileFormat_descriptor()));
  app->add_option("--split-column", flags->split_column, "Column that says train, validation or test");
  app->add_option("--validation-fraction", flags->validation_fraction,
                  "Share of rows drawn for validation, 0 to 0.9. Default: 0.1")
      ->check(Silent(CLI::Range(0.0, 0.9)))
      ->type_name("FLOAT");
  app->add_option("--test-fraction", flags->test_fraction, "Share of rows drawn for the test, 0 to 0.9. Default: 0")
      ->check(Silent(CLI::Range(0.0, 0.9)))
      ->type_name("FLOAT");
  app->add_option("--split-seed", flags->split_seed, "Seed of that draw. Default: 0");
  app->add_option("--max-bad-rows", flags->max_bad_rows,
                  "Bad rows that are left out instead of failing: a number, or any. Default: 0")
      ->check([](const std::string& text) {
        const bool digits =
            !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == std::string::npos;
        return digits || text == "any" || text == "-1" ? "" : "must be a number, or any";
      })
      ->type_name("NUMBER");
  app->add_option("--tokenizer-model", flags->tokenizer_model,
                  "Model whose tokens lengths are counted in. Default: words")
      ->type_name("MODEL");
}

void AddList(CLI::App& group, Session& session) {
  auto limit = std::make_shared<int>(50);
  CLI::App* app =
      AddCommand(group, "list", "List datasets, newest first", session, [=, &session](client::Client& client) -> int {
        auto response = ListAll<v1::ListDatasetsResponse>(
            *limit, v1::ListDatasetsRequest(), [&](const auto& request) { return client.ListDatasets(request); },
            [](auto& page) { return page.mutable_datasets(); });
        if (!response.ok()) return session.Fail("cannot list the datasets", response.status());
        return session.Show(*response, [&] {
          return DatasetTable({response->datasets().begin(), response->datasets().end()}, session.Now(),
                              session.style());
        });
      });
  AddLimit(*app, limit.get());
}

void AddShow(CLI::App& group, Session& session) {
  auto name = std::make_shared<std::string>();
  CLI::App* app = AddCommand(group, "show", "Show a dataset with its import report", session,
                             [=, &session](client::Client& client) -> int {
                               v1::GetDatasetRequest request;
                               request.set_name(client::FullName(*name, "datasets"));
                               auto dataset = client.GetDataset(request);
                               if (!dataset.ok())
                                 return session.Fail("cannot show the dataset", dataset.status(),
                                                     absl::IsNotFound(dataset.status()) ? kListHint : "");
                               return session.Show(*dataset, [&] { return DatasetReport(*dataset, session.style()); });
                             });
  app->add_option("dataset", *name, "Name of the dataset")->required();
}

void AddPreview(CLI::App& group, Session& session) {
  struct Flags {
    std::string name, split, tokenizer_model, html;
    int rows = 10;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* app = AddCommand(
      group, "preview", "Show rows as training will see them", session, [=, &session](client::Client& client) -> int {
        v1::PreviewRowsRequest request;
        request.set_name(client::FullName(flags->name, "datasets"));
        request.set_split(EnumOf<v1::Split>(flags->split));
        request.set_tokenizer_model(client::FullName(flags->tokenizer_model, "models"));
        if (!flags->html.empty()) request.set_thumbnail_pixels(kThumbnailPixels);
        auto rows = ListAll<v1::PreviewRowsResponse>(
            flags->rows, request, [&](const auto& r) { return client.PreviewRows(r); },
            [](auto& page) { return page.mutable_rows(); });
        if (!rows.ok())
          return session.Fail("cannot show the rows", rows.status(), absl::IsNotFound(rows.status()) ? kListHint : "");
        if (!flags->html.empty()) {
          const absl::Status written =
              WriteFileAtomically(Files::Posix(), flags->html, PreviewHtml(*rows, request.name()));
          if (!written.ok()) return session.Fail(StrCat("cannot write ", flags->html), written);
          session.Note(StrCat("Wrote ", flags->html, ": open it in a browser\n"));
        }
        return session.Show(*rows, [&] { return PreviewTable(*rows, session.style()); });
      });
  app->add_option("dataset", flags->name, "Name of the dataset")->required();
  SetChoices(app->add_option("--split", flags->split, "Which rows. Default: train"),
             EnumChoices(*v1::Split_descriptor()));
  app->add_option("--rows", flags->rows, "Rows to show. Default: 10")
      ->check(Silent(CLI::PositiveNumber))
      ->type_name("N");
  app->add_option("--tokenizer-model", flags->tokenizer_model, "Model whose token ids are shown too")
      ->type_name("MODEL");
  app->add_option("--html", flags->html, "Also write the rows as a web page, images with thumbnails")
      ->type_name("FILE");
}

void AddDelete(CLI::App& group, Session& session) {
  auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* app = AddCommand(group, "delete", "Remove datasets that no unfinished job uses", session,
                             [=, &session](client::Client& client) -> int {
                               for (const std::string& name : *names) {
                                 v1::DeleteDatasetRequest request;
                                 request.set_name(client::FullName(name, "datasets"));
                                 const absl::Status status = client.DeleteDataset(request);
                                 if (!status.ok())
                                   return session.Fail(StrCat("cannot delete ", request.name()), status,
                                                       absl::IsNotFound(status) ? kListHint : "");
                                 session.Note(StrCat("Deleted ", request.name(), "\n"));
                               }
                               if (session.json()) session.PrintJson(v1::DeleteDatasetResponse());
                               return kOk;
                             });
  app->add_option("datasets", *names, "Names of datasets")->required();
}

}  // namespace

void AddDatasetCommands(CLI::App& root, Session& session) {
  CLI::App* group = AddGroup(root, "datasets", "Upload, show and delete datasets");
  AddUpload(*group, session);
  AddList(*group, session);
  AddShow(*group, session);
  AddPreview(*group, session);
  AddDelete(*group, session);
}

}  // namespace attune::cli
