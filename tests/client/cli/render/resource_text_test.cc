// Whole screens for datasets, models, jobs, checkpoints, predictions and failures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/render/dataset_text.h"
#include "client/cli/render/error_text.h"
#include "client/cli/render/job_text.h"
#include "client/cli/render/model_text.h"
#include "client/cli/render/result_text.h"
#include "client/cpp/error.h"
#include "google/protobuf/text_format.h"
#include "tests/client/cpp/fake_server.h"

namespace attune::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const Style kPlain{.colour = false, .unicode = true};
const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

template <typename Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message));
  return message;
}

v1::Dataset Reviews() {
  return Parse<v1::Dataset>(R"(
    name: "datasets/reviews" display_name: "reviews.csv" state: STATE_READY label_kind: LABEL_KIND_SINGLE_LABEL labels: "bad" labels: "good"
    create_time { seconds: 1799999700 }
    report {
      rows_read: 1003 rows_used: 1000
      issue_counts { key: "not_utf8" value: 2 } issue_counts { key: "empty_text" value: 1 }
      issues { filename: "reviews.csv" line: 42 column: "text" message: "bytes are not UTF-8" }
      splits { split: SPLIT_TRAIN rows: 900 label_counts { key: "bad" value: 300 } label_counts { key: "good" value: 600 } }
      splits { split: SPLIT_VALIDATION rows: 100 label_counts { key: "good" value: 100 } }
      lengths { unit: UNIT_TOKENS upper_bounds: 8 upper_bounds: 16 upper_bounds: 32 counts: 100 counts: 800 counts: 0 counts: 0 median: 12 p95: 15 max: 16 }
      duplicates_across_splits: 4
    })");
}

TEST(DatasetTextTest, Report) {
  EXPECT_EQ(DatasetReport(
                [] {
                  auto d = Reviews();
                  d.clear_create_time();
                  return d;
                }(),
                kPlain),
            "datasets/reviews  READY\n"
            "  name        reviews.csv\n"
            "  rows        1,000 used of 1,003 read\n"
            "  left out    3: 1 empty text, 2 not utf8\n"
            "  train       900 rows\n"
            "  validation  100 rows\n"
            "  labels      single label\n"
            "  duplicates  4 texts occur in more than one split\n"
            "\n"
            "LABEL  TRAIN  VALIDATION\n"
            "bad      300           0  ███████████████\n"
            "good     600         100  ██████████████████████████████\n"
            "\n"
            "Lengths in tokens: median 12, 95 % up to 15, longest 16\n"
            "UP TO  ROWS\n"
            "    8   100  ███▊\n"
            "   16   800  ██████████████████████████████\n"
            "\n"
            "Rows to look at\n"
            "  reviews.csv:42 column text: bytes are not UTF-8\n"
            "  and 2 more\n");
}

v1::Dataset Photos() {
  return Parse<v1::Dataset>(R"(
    name: "datasets/photos" state: STATE_READY modality: "image" label_kind: LABEL_KIND_SINGLE_LABEL labels: "cat" labels: "dog"
    report {
      rows_read: 302 rows_used: 300
      issue_counts { key: "unreadable_image" value: 2 }
      issues { filename: "photos.tar" entry: "train/cat/cut.jpg" message: "the file is cut short: upload it again" }
      issues { filename: "photos.tar" entry: "labels.csv" line: 4 column: "label" message: "the label is empty" }
      splits { split: SPLIT_TRAIN rows: 300 label_counts { key: "cat" value: 100 } label_counts { key: "dog" value: 200 } }
      duplicates_across_splits: 2 duplicates_within_split: 3
      images { min_width: 320 median_width: 640 max_width: 4000 min_height: 480 median_height: 480 max_height: 480 total_bytes: 5000000
               format_counts { key: "png" value: 20 } format_counts { key: "jpeg" value: 280 }
               wrong_extensions: 1 conflicting_labels: 5 other_files: 7 }
    })");
}

TEST(DatasetTextTest, ReportOfImages) {
  EXPECT_EQ(DatasetReport(Photos(), kPlain),
            "datasets/photos  READY\n"
            "  rows         300 used of 302 read\n"
            "  left out     2: 2 unreadable image\n"
            "  train        300 images\n"
            "  labels       single label\n"
            "  duplicates   2 images occur in more than one split\n"
            "  repeated     3 rows repeat an image of their split\n"
            "  conflicts    5 images occur with another label too\n"
            "  endings      1 names end as another format does\n"
            "  passed over  7 files that are no images\n"
            "\n"
            "LABEL  TRAIN\n"
            "cat      100  ███████████████\n"
            "dog      200  ██████████████████████████████\n"
            "\n"
            "Images\n"
            "  width    320 to 4,000, median 640\n"
            "  height   480\n"
            "  formats  280 jpeg, 20 png\n"
            "  size     5.00 MB\n"
            "\n"
            "Images to look at\n"
            "  photos.tar: train/cat/cut.jpg: the file is cut short: upload it again\n"
            "  photos.tar: labels.csv:4 column label: the label is empty\n");
}

TEST(DatasetTextTest, PreviewOfImages) {
  const auto preview = Parse<v1::PreviewRowsResponse>(R"(
    rows { entry: "cat/1\n.jpg" labels: "cat" width: 640 height: 480 thumbnail: "abc" }
    rows { entry: "dog/<b>.jpg" labels: "dog & co" width: 64 height: 48 })");
  EXPECT_EQ(PreviewTable(preview, kPlain),
            "IMAGE        LABEL          SIZE\n"
            "cat/1 .jpg   cat       640 x 480\n"
            "dog/<b>.jpg  dog & co    64 x 48\n");
  const std::string html = PreviewHtml(preview, "datasets/photos");
  EXPECT_THAT(
      html,
      HasSubstr("<img alt=\"\" src=\"data:image/png;base64,YWJj\"><figcaption><b>cat</b><br>cat/1 .jpg<br>640 x 480"));
  EXPECT_THAT(html, HasSubstr("<b>dog &amp; co</b><br>dog/&lt;b&gt;.jpg<br>")) << "data must not become markup";
}

TEST(DatasetTextTest, List) {
  EXPECT_EQ(DatasetTable({Reviews()}, kNow, kPlain),
            "DATASET  STATE  HOLDS  LABELS            TRAIN  VALIDATION  TEST  CREATED    NAME\n"
            "reviews  READY  texts  2 (single label)    900         100     0  5 min ago  reviews.csv\n");
  EXPECT_THAT(DatasetTable({Photos()}, kNow, kPlain), HasSubstr("photos   READY  images  2 (single label)"));
  EXPECT_THAT(DatasetTable({}, kNow, kPlain), HasSubstr("attune datasets upload"));
}

TEST(DatasetTextTest, HostileRowsStayInTheirLine) {
  v1::PreviewRowsResponse preview;
  v1::PreviewRow& row = *preview.add_rows();
  row.set_filename("a.csv");
  row.set_line(2);
  row.add_labels("x\ny");
  row.mutable_input()->set_text("one\x1b[2J\ntwo");
  EXPECT_EQ(PreviewTable(preview, kPlain), "ROW      LABEL  TEXT\na.csv:2  x y    one [2J two\n");
}

TEST(ModelTextTest, LayersByGroupOrMatches) {
  auto layers = Parse<v1::DescribeLayersResponse>(R"(
    layers { name: "embeddings.a" shape: 10 shape: 4 group: "embeddings" parameter_count: 40 }
    layers { name: "embeddings.b" shape: 4 group: "embeddings" parameter_count: 4 }
    layers { name: "encoder.0" shape: 4 group: "layer.0" parameter_count: 4 }
    matches { pattern: "emb*" names: "embeddings.a" names: "embeddings.b" parameter_count: 44 }
    matches { pattern: "x*" })");
  EXPECT_EQ(LayerTable(layers, kPlain),
            "emb*: 2 parameters, 44 values\n"
            "  embeddings.a\n"
            "  embeddings.b\n"
            "\n"
            "x*: matches nothing\n");
  layers.clear_matches();
  EXPECT_EQ(LayerTable(layers, kPlain),
            "GROUP       PARAMETER     SHAPE   VALUES\n"
            "embeddings  embeddings.a  10 x 4      40\n"
            "            embeddings.b  4            4\n"
            "layer.0     encoder.0     4            4\n");
}

v1::Model Resnet() {
  return Parse<v1::Model>(R"(
    name: "models/resnet" display_name: "ResNet-18" architecture: "resnet18" parameter_count: 11176512 size_bytes: 46827520
    layer_groups: "stem" layer_groups: "layer1" ignored_tensors: "fc.bias" ignored_tensors: "fc.weight" ignored_tensors: "fcn.weight"
    digest: "abc" create_time { seconds: 1799999700 } modality: "image" image_size: 224 min_image_size: 32 head_name: "fc" image_size_multiple: 1)");
}

v1::Model Minilm() {
  return Parse<v1::Model>(R"(
    name: "models/minilm" display_name: "MiniLM" architecture: "bert" parameter_count: 22713216 size_bytes: 90868376 max_length: 512
    layer_groups: "embeddings" layer_groups: "layer.0" create_time { seconds: 1799999700 } modality: "text" head_name: "classifier")");
}

TEST(ModelTextTest, ListOfTextAndImageModels) {
  EXPECT_EQ(ModelTable({Resnet(), Minilm()}, kNow, kPlain),
            "MODEL   ARCHITECTURE  PARAMETERS     SIZE             INPUT  CREATED    NAME\n"
            "resnet  resnet18      11,176,512  46.8 MB  224 x 224 pixels  5 min ago  ResNet-18\n"
            "minilm  bert          22,713,216  90.9 MB        512 tokens  5 min ago  MiniLM\n");
}

TEST(ModelTextTest, DetailsSayWhatAModelTakes) {
  v1::Model resnet = Resnet();
  resnet.clear_create_time();
  EXPECT_EQ(ModelDetails(resnet, kPlain),
            "models/resnet\n"
            "  name          ResNet-18\n"
            "  architecture  resnet18\n"
            "  parameters    11,176,512\n"
            "  size          46.8 MB\n"
            "  takes         images\n"
            "  image size    224 x 224 pixels\n"
            "  other sizes   from 32 pixels\n"
            "  layer groups  stem, layer1\n"
            "  old head      fc.bias, fc.weight\n"
            "  not used      fcn.weight\n"
            "  digest        abc\n");
  resnet.set_image_size_multiple(16);
  EXPECT_THAT(ModelDetails(resnet, kPlain), HasSubstr("other sizes   from 32 pixels, in multiples of 16\n"));
  const std::string minilm = ModelDetails(Minilm(), kPlain);
  EXPECT_THAT(minilm, HasSubstr("  takes         text\n  max length    512 tokens\n  layer groups  embeddings, layer.0\n"));
  EXPECT_THAT(minilm, Not(HasSubstr("sizes")));
}

TEST(ModelTextTest, ArchitecturesSayWhatTheyTake) {
  const auto architectures = Parse<v1::ListArchitecturesResponse>(R"(
    architectures { name: "bert" description: "BERT" tasks: "text-classification" modality: "text" }
    architectures { name: "resnet50" description: "ResNet" tasks: "image-classification" modality: "image" })");
  EXPECT_EQ(ArchitectureTable(architectures, kPlain),
            "ARCHITECTURE  TAKES  TASKS                 DESCRIPTION\n"
            "bert          text   text-classification   BERT\n"
            "resnet50      image  image-classification  ResNet\n");
}

v1::FineTuningJob Job() {
  auto job = Parse<v1::FineTuningJob>(R"(
    name: "fineTuningJobs/j1" display_name: "try" state: STATE_SUCCEEDED
    create_time { seconds: 1799999000 } start_time { seconds: 1799999010 } end_time { seconds: 1799999122 }
    spec { base_model: "models/minilm" dataset: "datasets/reviews" }
    progress { step: 312 total_steps: 312 }
    best_checkpoint: "fineTuningJobs/j1/checkpoints/312"
    test_evaluation {
      step: 312 split: "test" rows: 100 values { key: "loss" value: 0.61 } values { key: "accuracy" value: 0.75 } values { key: "f1_macro" value: 0.7 }
      classes { label: "bad" precision: 0.7 recall: 0.8 f1: 0.75 support: 40 }
      classes { label: "good" precision: 0.8 recall: 0.7 f1: 0.75 support: 60 }
      confusion_matrix: 32 confusion_matrix: 8 confusion_matrix: 18 confusion_matrix: 42
    })");
  return job;
}

TEST(JobTextTest, Summary) {
  EXPECT_EQ(JobSummary(Job(), kPlain),
            "fineTuningJobs/j1 SUCCEEDED in 1 min 52 s\n"
            "  steps            312\n"
            "  best checkpoint  fineTuningJobs/j1/checkpoints/312\n"
            "\n"
            "Evaluation on test (100 rows, step 312)\n"
            "  accuracy 0.75  F1 0.7  loss 0.61\n"
            "\n"
            "CLASS  PRECISION  RECALL    F1  ROWS\n"
            "bad          0.7     0.8  0.75    40\n"
            "good         0.8     0.7  0.75    60\n"
            "\n"
            "TRUE \\ PREDICTED  bad  good\n"
            "bad                32     8\n"
            "good               18    42\n"
            "\n"
            "Next\n"
            "  attune predict j1 \"some text\"\n"
            "  attune checkpoints download j1/best --to j1\n"
            "  attune jobs metrics j1\n");
}

TEST(JobTextTest, TheNextStepOfAnImageJobIsAnImage) {
  v1::FineTuningJob job = Job();
  for (v1::Task task : {v1::TASK_IMAGE_CLASSIFICATION, v1::TASK_IMAGE_MULTI_LABEL, v1::TASK_IMAGE_REGRESSION}) {
    job.mutable_effective_spec()->set_task(task);
    EXPECT_THAT(JobSummary(job, kPlain), HasSubstr("\n  attune predict j1 --image FILE\n"));
  }
}

TEST(JobTextTest, ARangeTestEndsWithItsSuggestions) {
  v1::FineTuningJob job = Job();
  job.clear_test_evaluation();
  job.clear_best_checkpoint();
  job.mutable_lr_range_test_result()->set_steepest_learning_rate(1e-4);
  job.mutable_lr_range_test_result()->set_tenth_of_minimum_learning_rate(2e-3);
  EXPECT_THAT(JobSummary(job, kPlain), HasSubstr("\nSuggested learning rates\n  steepest descent                    0.0001\n  a tenth of the rate at the minimum  0.002\n"));
  job.mutable_lr_range_test_result()->Clear();
  EXPECT_THAT(JobSummary(job, kPlain), HasSubstr("No learning rate is suggested: the loss never fell."));
}

TEST(JobTextTest, AFailedJobSaysWhoCanMendIt) {
  v1::FineTuningJob job = Job();
  job.clear_test_evaluation();
  job.clear_best_checkpoint();
  job.set_state(v1::FineTuningJob::STATE_FAILED);
  job.mutable_error()->set_message("the loss is not a number");
  v1::FailureInfo info;
  info.set_category(v1::FailureInfo::CATEGORY_USER);
  info.set_step(17);
  info.add_log_tail("step 17: loss nan");
  job.mutable_error()->add_details()->PackFrom(info);
  EXPECT_EQ(JobSummary(job, kPlain),
            "fineTuningJobs/j1 FAILED in 1 min 52 s\n"
            "  steps  312\n"
            "  error    the loss is not a number\n"
            "  at step  17\n"
            "  so       the spec has to be changed\n"
            "  last lines of the worker's log\n"
            "    step 17: loss nan\n"
            "\n"
            "Next\n"
            "  attune jobs logs j1\n"
            "  attune jobs metrics j1\n");
}

TEST(JobTextTest, List) {
  v1::FineTuningJob queued = Job();
  queued.set_state(v1::FineTuningJob::STATE_QUEUED);
  queued.clear_start_time();
  queued.set_jobs_ahead(3);
  EXPECT_EQ(JobTable({Job(), queued}, kNow, kPlain),
            "JOB  STATE      PROGRESS  MODEL   DATASET  RAN         CREATED     NAME\n"
            "j1   SUCCEEDED     100 %  minilm  reviews  1 min 52 s  16 min ago  try\n"
            "j1   QUEUED      3 ahead  minilm  reviews              16 min ago  try\n");
}

TEST(JobTextTest, MetricsWithSparkline) {
  std::vector<v1::MetricPoint> points;
  for (int i = 1; i <= 4; ++i) {
    points.push_back(
        Parse<v1::MetricPoint>("epoch: 0.5 phase: 'all' values { key: 'loss' value: " + std::to_string(5 - i) + " }"));
    points.back().set_step(i);
  }
  (*points[3].mutable_values())["eval_loss"] = 0.5;
  EXPECT_EQ(MetricTable(points, 2, kPlain),
            "The last 2 of 4 points\n"
            "STEP  EPOCH  PHASE  eval_loss  loss\n"
            "   3    0.5  all                  2\n"
            "   4    0.5  all          0.5     1\n"
            "\n"
            "loss █▆▃▁\n");
}

TEST(ResultTextTest, Predictions) {
  const std::vector<std::string> texts = {"lovely film", "so long"};
  const auto response = Parse<v1::PredictResponse>(R"(
    checkpoint: "fineTuningJobs/j1/checkpoints/312"
    predictions { scores { label: "good" score: 0.9 } scores { label: "bad" score: 0.1 } labels: "good" }
    predictions { scores { label: "bad" score: 0.6 } labels: "bad" truncated: true })");
  EXPECT_EQ(PredictionTable("TEXT", texts, response, false, kPlain),
            "PREDICTION   SCORE  TEXT\n"
            "good        90.0 %  lovely film\n"
            "bad         60.0 %  so long [cut]\n"
            "[cut]: longer than the model takes; the end was not read\n"
            "by fineTuningJobs/j1/checkpoints/312\n");
  EXPECT_THAT(PredictionTable("TEXT", texts, response, true, kPlain), HasSubstr("  bad       10.0 %  ██\n"));
}

TEST(ResultTextTest, PredictionsForImages) {
  const auto response = Parse<v1::PredictResponse>(R"(
    checkpoint: "fineTuningJobs/j1/checkpoints/312" predictions { value: 2.5 })");
  EXPECT_EQ(PredictionTable("IMAGE", {"photos/a.jpg"}, response, false, kPlain),
            "PREDICTION  SCORE  IMAGE\n"
            "2.5                photos/a.jpg\n"
            "by fineTuningJobs/j1/checkpoints/312\n");
}

TEST(ResultTextTest, ServerAndDevices) {
  const auto info = Parse<v1::ServerInfo>(
      "version: '0.1.0' libtorch_version: '2.11.0' architectures: 'bert' job_slots: 1 free_disk_bytes: 5000000000");
  const auto devices = Parse<v1::ListDevicesResponse>(R"(
    devices { name: "cpu" description: "EPYC" memory_bytes: 16000000000 usable: true cores: 2 }
    devices { name: "cuda:0" description: "H100" memory_bytes: 80000000000 unusable_reason: "no CUDA libraries" })");
  EXPECT_EQ(ServerText(info, devices, kNow, kPlain),
            "attune-server 0.1.0\n"
            "  LibTorch       2.11.0\n"
            "  architectures  bert\n"
            "  jobs           0 running in 1 slots, 0 queued\n"
            "  idle workers   0\n"
            "  free disk      5.00 GB\n"
            "\n"
            "DEVICE  USABLE   MEMORY  CORES  DESCRIPTION\n"
            "cpu     yes     16.0 GB      2  EPYC\n"
            "cuda:0  no      80.0 GB         H100 (no CUDA libraries)\n");
}

TEST(ServerTextTest, TellsOfTheSandbox) {
  const auto line = [](const char* sandbox) {
    v1::ServerInfo info;
    *info.mutable_worker_sandbox() = Parse<v1::WorkerSandbox>(sandbox);
    const std::string text = ServerText(info, {}, kNow, kPlain);
    const size_t begin = text.find("worker sandbox");
    return begin == std::string::npos ? "" : text.substr(begin, text.find('\n', begin) - begin);
  };
  EXPECT_EQ(line("level: LEVEL_FULL landlock_version: 7 system_call_filter: true"), "worker sandbox  full (Landlock 7, seccomp)");
  EXPECT_EQ(line("level: LEVEL_PARTIAL system_call_filter: true missing: 'no Landlock'"), "worker sandbox  partial: no Landlock");
  EXPECT_EQ(line("level: LEVEL_OFF"), "worker sandbox  off");
  EXPECT_EQ(line(""), "") << "a server of before there was one";
}

TEST(ErrorTextTest, ThreeLinesAndTheFaults) {
  const absl::Status status =
      client::ToStatus(client::FakeError{.code = grpc::StatusCode::INVALID_ARGUMENT,
                                         .message = "spec.seed: bad; spec.dataset: is required",
                                         .violations = {{"spec.seed", "bad"}, {"spec.dataset", "is required"}}}
                           .ToStatus());
  EXPECT_EQ(FailureText({"cannot create the job", status, "look again"}, kPlain),
            "error: cannot create the job\n"
            "  why: the request has 2 faults (INVALID_ARGUMENT)\n"
            "         spec.seed: bad\n"
            "         spec.dataset: is required\n"
            "  fix: look again\n");
}

TEST(ErrorTextTest, EveryCodeHasARemedy) {
  for (int code = 1; code <= 16; ++code) EXPECT_FALSE(DefaultFix(static_cast<absl::StatusCode>(code)).empty());
  const std::string text = FailureText(
      {"cannot list the jobs", absl::UnavailableError("no answer from h:1 in 5 tries: refused"), ""}, kPlain);
  EXPECT_THAT(text, HasSubstr("  why: no answer from h:1 in 5 tries: refused\n  fix: start a server"));
}

TEST(ErrorTextTest, ColourOnlyWhenAskedFor) {
  const Failure failure{"x", absl::NotFoundError("y\x1b[2J"), "z"};
  EXPECT_THAT(FailureText(failure, {.colour = true}), HasSubstr("\x1b[31merror:\x1b[0m"));
  EXPECT_THAT(FailureText(failure, kPlain), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace attune::cli
