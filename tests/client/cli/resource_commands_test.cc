// datasets, models, checkpoints and predict.
#include "tests/client/cli/cli_test_base.h"

namespace attune::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ResourceCommandsTest : public CliTest {
 protected:
  static v1::Dataset Ready() {
    v1::Dataset dataset;
    dataset.set_name("datasets/reviews");
    dataset.set_state(v1::Dataset::STATE_READY);
    dataset.mutable_report()->set_rows_read(3);
    dataset.mutable_report()->set_rows_used(3);
    return dataset;
  }
  void ScriptImport() {
    v1::ImportDatasetResponse half, done;
    half.set_rows_read(2);
    half.set_fraction(0.5);
    *done.mutable_dataset() = Ready();
    server_.datasets.imports = {{{half, done}}};
  }
};

TEST_F(ResourceCommandsTest, UploadSaysEverythingToTheServer) {
  ScriptImport();
  const CliResult result = Run({"datasets",
                                "upload",
                                "--train",
                                Put("a.csv", "a"),
                                "--validation",
                                Put("b.csv", "b"),
                                "--test",
                                Put("c.csv", "c"),
                                "--id",
                                "reviews",
                                "--text-column",
                                "review",
                                "--label-column",
                                "stars",
                                "--label-kind",
                                "multi-label",
                                "--format",
                                "csv",
                                "--test-fraction",
                                "0",
                                "--max-bad-rows",
                                "any",
                                "--tokenizer-model",
                                "minilm",
                                "--split-seed",
                                "9"});
  EXPECT_EQ(result.code, kOk) << result.err;
  const v1::ImportDatasetRequest& request = server_.datasets.requests.at(0);
  ASSERT_EQ(request.files_size(), 3);
  EXPECT_EQ(request.files(0).split(), v1::SPLIT_TRAIN);
  EXPECT_EQ(request.files(1).split(), v1::SPLIT_VALIDATION);
  EXPECT_EQ(request.files(2).split(), v1::SPLIT_TEST);
  EXPECT_EQ(request.dataset_id(), "reviews");
  EXPECT_EQ(request.text_column(), "review");
  EXPECT_EQ(request.label_column(), "stars");
  EXPECT_EQ(request.label_kind(), v1::LABEL_KIND_MULTI_LABEL);
  EXPECT_EQ(request.format(), v1::FILE_FORMAT_CSV);
  EXPECT_TRUE(request.has_test_fraction());
  EXPECT_FALSE(request.has_validation_fraction());
  EXPECT_EQ(request.max_bad_rows(), -1);
  EXPECT_EQ(request.tokenizer_model(), "models/minilm");
  EXPECT_EQ(request.split_seed(), 9u);
  EXPECT_THAT(result.out, HasSubstr("datasets/reviews  READY\n"));
  EXPECT_THAT(result.out, HasSubstr("3 used of 3 read"));
  EXPECT_EQ(
      result.err,
      "uploading a.csv: 100 % (1 B of 1 B)\nuploading b.csv: 100 % (1 B of 1 B)\nuploading c.csv: 100 % (1 B of 1 B)\n"
      "reading rows: 50 % (2 rows)\n");
}

TEST_F(ResourceCommandsTest, ProgressIsABarOnATerminalAndNothingWhenQuiet) {
  terminal_ = true;
  ScriptImport();
  const std::string path = Put("a.csv", std::string(1'000'000, 'x'));
  EXPECT_THAT(Run({"datasets", "upload", path}).err,
              HasSubstr("\r\x1b[2Kuploading a.csv  ████████████████████████  100 %  1.00 MB of 1.00 MB"));
  ScriptImport();
  EXPECT_THAT(Run({"datasets", "upload", path, "--quiet"}).err, IsEmpty());
}

TEST_F(ResourceCommandsTest, BadRowsAreListedByFileAndLine) {
  v1::Dataset failed = Ready();
  failed.set_state(v1::Dataset::STATE_FAILED);
  for (int i = 0; i < 3; ++i) {
    v1::RowIssue& issue = *failed.mutable_report()->add_issues();
    issue.set_filename("a.csv");
    issue.set_line(40 + i);
    issue.set_column("text");
    issue.set_message("bytes are not UTF-8");
  }
  (*failed.mutable_report()->mutable_issue_counts())["not_utf8"] = 250;
  server_.datasets.answers = {failed};
  server_.datasets.imports = {{{},
                               client::FakeError{.code = grpc::StatusCode::INVALID_ARGUMENT,
                                                 .message = "250 of 1000 rows are bad",
                                                 .reason = "BAD_ROWS",
                                                 .violations = {{"files[0]: a.csv line 40", "bytes are not UTF-8"}},
                                                 .metadata = {{"dataset", "datasets/reviews"}}}
                                   .ToStatus()}};
  const CliResult result = Run({"datasets", "upload", Put("a.csv", "x"), "-q"});
  EXPECT_EQ(result.code, kRejected);
  EXPECT_EQ(result.err,
            "error: cannot make the dataset\n"
            "  why: 250 of 1000 rows are bad\n"
            "  fix: mend these rows and upload again, or leave bad rows out with --max-bad-rows N (or any)\n"
            "  a.csv:40 column text: bytes are not UTF-8\n"
            "  a.csv:41 column text: bytes are not UTF-8\n"
            "  a.csv:42 column text: bytes are not UTF-8\n"
            "  and 247 more\n");
}

TEST_F(ResourceCommandsTest, WithoutTheReportTheErrorsOwnFaultsAreListed) {
  server_.datasets.imports = {{{},
                               client::FakeError{.code = grpc::StatusCode::INVALID_ARGUMENT,
                                                 .message = "bad",
                                                 .reason = "BAD_ROWS",
                                                 .violations = {{"files[0]: a.csv line 40", "not UTF-8"}},
                                                 .metadata = {{"dataset", "datasets/gone"}}}
                                   .ToStatus()}};
  EXPECT_THAT(Run({"datasets", "upload", Put("a.csv", "x")}).err,
              HasSubstr("         files[0]: a.csv line 40: not UTF-8\n"));
}

TEST_F(ResourceCommandsTest, AFolderOfImagesGoesAsOneArchive) {
  ScriptImport();
  const std::string folder = directory_.path() + "/photos";
  ASSERT_TRUE(Files::Posix().CreateDirectories(folder + "/cat").ok());
  ASSERT_TRUE(WriteFileAtomically(Files::Posix(), folder + "/cat/1.jpg", "an image").ok());
  const CliResult result = Run({"datasets", "import", folder + "/", "--validation-fraction", "0.1", "--image-column",
                                "path", "--class-name", "a", "--class-name", "b"});
  EXPECT_EQ(result.code, kOk) << result.err;
  const v1::ImportDatasetRequest& request = server_.datasets.requests.at(0);
  EXPECT_EQ(request.image_column(), "path");
  EXPECT_THAT(request.class_names(), ::testing::ElementsAre("a", "b"));
  const auto& upload = server_.uploads.uploads[request.files(0).upload()];
  EXPECT_THAT(upload.content, HasSubstr("cat/1.jpg"));
  EXPECT_THAT(upload.content, HasSubstr("an image"));
  EXPECT_THAT(result.err, HasSubstr("uploading photos.tar"));

  ASSERT_TRUE(Files::Posix().CreateDirectories(directory_.path() + "/nothing").ok());
  EXPECT_THAT(Run({"datasets", "upload", directory_.path() + "/nothing"}).err, HasSubstr("has no files"));
}

TEST_F(ResourceCommandsTest, PreviewAsAWebPage) {
  const std::string page = directory_.path() + "/sheet.html";
  const CliResult result = Run({"datasets", "preview", "reviews", "--html", page});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_THAT(result.err + result.out, HasSubstr("open it in a browser"));
  auto html = ReadFile(page);
  ASSERT_TRUE(html.ok());
  EXPECT_THAT(*html, HasSubstr("<!DOCTYPE html>"));
  EXPECT_EQ(Run({"datasets", "preview", "reviews", "--html", directory_.path() + "/none/sheet.html"}).code, kNotFound);
}

TEST_F(ResourceCommandsTest, AFileThatIsNotThere) {
  const CliResult result = Run({"datasets", "upload", directory_.path() + "/none.csv"});
  EXPECT_EQ(result.code, kNotFound);
  EXPECT_THAT(result.err, HasSubstr("none.csv"));
  EXPECT_EQ(Run({"datasets", "upload", Put("empty.csv", "")}).code, kRejected);
}

TEST_F(ResourceCommandsTest, ShowListPreviewDelete) {
  server_.datasets.answers = {Ready()};
  EXPECT_THAT(Run({"datasets", "show", "reviews"}).out, HasSubstr("3 used of 3 read"));
  EXPECT_THAT(Run({"datasets", "list"}).out, HasSubstr("reviews"));
  EXPECT_THAT(Run({"datasets", "list", "--output", "json"}).out, HasSubstr("\"name\": \"datasets/reviews\""));
  const std::string preview = Run({"datasets", "preview", "reviews", "--rows", "2"}).out;
  EXPECT_THAT(preview, HasSubstr("row 1\n"));
  EXPECT_THAT(preview, Not(HasSubstr("row 2\n")));
  EXPECT_EQ(Run({"datasets", "delete", "reviews"}).out, "Deleted datasets/reviews\n");
  EXPECT_EQ(Run({"datasets", "delete", "reviews", "--output", "json"}).out, "{}\n");
}

TEST_F(ResourceCommandsTest, ModelsFromADirectory) {
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"}) Put(name, name);
  const CliResult result = Run({"models", "import", directory_.path(), "--id", "minilm"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_EQ(server_.models.requests.at(0).model_id(), "minilm");
  EXPECT_EQ(server_.models.requests.at(0).files_size(), 3);
  EXPECT_THAT(result.out, HasSubstr("attune jobs create --base-model minilm"));
  EXPECT_THAT(Run({"models", "list"}).out, HasSubstr("minilm"));
  EXPECT_THAT(Run({"models", "show", "minilm"}).out, HasSubstr("models/minilm"));
  EXPECT_THAT(Run({"models", "architectures"}).out, HasSubstr("bert"));
  EXPECT_THAT(Run({"models", "layers", "--match", "x*", "minilm"}).out, HasSubstr("x*: matches nothing"));
}

TEST_F(ResourceCommandsTest, AnImageModelFromADirectory) {
  Put("config.json", R"({"model_type": "resnet50"})");
  Put("model.safetensors", "weights");
  server_.models.imported.set_modality("image");
  server_.models.imported.set_image_size(224);
  const CliResult result = Run({"models", "import", directory_.path(), "--id", "resnet"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_EQ(server_.models.requests.at(0).files_size(), 2);
  EXPECT_THAT(result.out, HasSubstr("224 x 224 pixels"));
  EXPECT_THAT(result.out, HasSubstr("attune jobs create --base-model resnet --dataset DATASET_OF_IMAGES --watch\n"));
  EXPECT_THAT(result.out, HasSubstr("attune models layers resnet"));
  const std::string architectures = Run({"models", "architectures"}).out;
  EXPECT_THAT(architectures, HasSubstr("resnet50      image"));
}

TEST_F(ResourceCommandsTest, DownloadACheckpoint) {
  server_.checkpoints.checkpoint.set_name("fineTuningJobs/j1/checkpoints/30");
  server_.checkpoints.Add("model.safetensors", "weights");
  const std::string target = directory_.path() + "/model";
  const CliResult result = Run({"checkpoints", "download", "j1", "--to", target, "-q"});
  EXPECT_EQ(result.code, kOk) << result.err;
  EXPECT_EQ(*ReadFile(target + "/model.safetensors"), "weights");
  EXPECT_THAT(result.out, HasSubstr("fineTuningJobs/j1/checkpoints/30 is in " + target));
  EXPECT_THAT(Run({"checkpoints", "list", "j1"}).out, HasSubstr("j1/30"));
  EXPECT_EQ(Run({"checkpoints", "pin", "j1/30"}).out, "fineTuningJobs/j1/checkpoints/30 is pinned\n");
  EXPECT_EQ(Run({"checkpoints", "unpin", "j1"}).out, "fineTuningJobs/j1/checkpoints/30 is not pinned\n");
  ASSERT_EQ(server_.checkpoints.updates.size(), 2u);
  EXPECT_EQ(server_.checkpoints.updates[0].checkpoint().name(), "fineTuningJobs/j1/checkpoints/30");
  EXPECT_EQ(server_.checkpoints.updates[0].update_mask().paths(0), "pinned");
  EXPECT_EQ(server_.checkpoints.updates[1].checkpoint().name(), "fineTuningJobs/j1/checkpoints/best");
  server_.checkpoints.update.Fail(grpc::Status(grpc::StatusCode::NOT_FOUND, "no such checkpoint"));
  EXPECT_EQ(Run({"checkpoints", "pin", "j1/31"}).code, kNotFound);
  EXPECT_EQ(Run({"checkpoints", "delete", "j1/30"}).out, "Deleted fineTuningJobs/j1/checkpoints/30\n");
}

TEST_F(ResourceCommandsTest, PredictTakesTextsFromEverywhere) {
  CliResult result = Run({"predict", "j1", "models", "--", "-5 stars"});
  ASSERT_EQ(result.code, kOk) << result.err;
  ASSERT_EQ(server_.prediction.requests[0].inputs_size(), 2);
  EXPECT_EQ(server_.prediction.requests[0].inputs(0).text(), "models") << "a text may be called like a command";
  EXPECT_EQ(server_.prediction.requests[0].inputs(1).text(), "-5 stars");
  EXPECT_EQ(server_.prediction.requests[0].checkpoint(), "fineTuningJobs/j1/checkpoints/best");
  EXPECT_THAT(result.out, HasSubstr("75.0 %"));

  ASSERT_EQ(Run({"predict", "j1/30", "--file", "-"}, "one\r\n\ntwo\n").code, kOk);
  EXPECT_EQ(server_.prediction.requests[1].inputs_size(), 2);
  EXPECT_EQ(server_.prediction.requests[1].inputs(0).text(), "one");

  const std::string file = Put("rows.jsonl", "{\"text\": \"a\", \"text_pair\": \"b\", \"label\": 1}\n");
  ASSERT_EQ(Run({"predict", "j1", "--file", file}).code, kOk);
  EXPECT_EQ(server_.prediction.requests[2].inputs(0).text_pair(), "b");

  ASSERT_EQ(Run({"predict", "j1", "a", "--pair", "b"}).code, kOk);
  EXPECT_EQ(server_.prediction.requests[3].inputs(0).text_pair(), "b");
}

TEST_F(ResourceCommandsTest, PredictTakesImages) {
  const std::string a = Put("a.jpg", "daisy"), b = Put("b.png", "rose");
  const CliResult result = Run({"predict", "j1", "--image", a, b});
  ASSERT_EQ(result.code, kOk) << result.err;
  ASSERT_EQ(server_.prediction.requests.size(), 1u);
  EXPECT_EQ(server_.prediction.requests[0].checkpoint(), "fineTuningJobs/j1/checkpoints/best");
  ASSERT_EQ(server_.prediction.requests[0].images_size(), 2);
  EXPECT_EQ(server_.prediction.requests[0].images(1), "rose");
  EXPECT_EQ(server_.prediction.requests[0].views(), 0);
  Run({"predict", "j1", "--image", a, "--views", "5"});
  EXPECT_EQ(server_.prediction.requests.back().views(), 5);
  EXPECT_EQ(Run({"predict", "j1", "some text", "--views", "5"}).code, kUsage);
  EXPECT_EQ(Run({"predict", "j1", "--image", a, "--views", "33"}).code, kUsage);
  EXPECT_THAT(result.out, HasSubstr("IMAGE"));
  EXPECT_THAT(result.out, HasSubstr("75.0 %  " + b));
  EXPECT_THAT(Run({"predict", "j1", "--image", a, "--output", "json"}).out, HasSubstr("\"daisy\""));
}

TEST_F(ResourceCommandsTest, PredictExplainsBadImages) {
  const std::string a = Put("a.jpg", "daisy");
  CliResult result = Run({"predict", "j1", "--image", a, a + ".none"});
  EXPECT_EQ(result.code, kNotFound);
  EXPECT_THAT(result.err, HasSubstr("a.jpg.none cannot be read"));
  EXPECT_THAT(Run({"predict", "j1", "some text", "--image", a}).err, HasSubstr("a model takes one of the two"));
  EXPECT_THAT(Run({"predict", "j1", "--image", Put("empty.png", "")}).err, HasSubstr("empty.png is empty"));
  EXPECT_THAT(server_.prediction.requests, IsEmpty());
}

TEST_F(ResourceCommandsTest, ADownloadSaysHowToUseIt) {
  server_.checkpoints.checkpoint.set_name("fineTuningJobs/j1/checkpoints/30");
  const auto next = [&](const std::string& target) { return Run({"checkpoints", "download", "j1", "--to", directory_.path() + "/" + target}).out; };
  server_.checkpoints.Add("model.safetensors", "weights");
  EXPECT_THAT(next("torchvision"), HasSubstr("load_file("));
  server_.checkpoints.Add("preprocessor_config.json", "{}");
  EXPECT_THAT(next("image"), HasSubstr("pipeline(\"image-classification\""));
  server_.checkpoints.Add("tokenizer.json", "{}");
  EXPECT_THAT(next("text"), HasSubstr("pipeline(\"text-classification\""));
}

TEST_F(ResourceCommandsTest, PredictExplainsBadInput) {
  EXPECT_THAT(Run({"predict", "j1", "a", "b", "--pair", "c"}).err, HasSubstr("2 texts and 1 second texts"));
  EXPECT_THAT(Run({"predict", "j1", "--file", Put("rows.jsonl", "{}\nnonsense\n")}).err, HasSubstr("rows.jsonl:2: "));
  EXPECT_EQ(Run({"predict", "j1", "--file", directory_.path() + "/none"}).code, kNotFound);
  EXPECT_THAT(server_.prediction.requests, IsEmpty());
}

}  // namespace
}  // namespace attune::cli
