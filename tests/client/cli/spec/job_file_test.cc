#include "client/cli/spec/job_file.h"
#include "client/cli/spec/spec_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"

namespace attune::cli {
namespace {

using ::testing::HasSubstr;

v1::CreateFineTuningJobRequest Parse(const std::string& text) {
  auto request = ParseJobFile(text, "job.yaml");
  EXPECT_TRUE(request.ok()) << request.status();
  return request.value_or(v1::CreateFineTuningJobRequest());
}

std::string FaultsOf(const std::string& text) {
  auto request = ParseJobFile(text, "job.yaml");
  EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(request.status().message());
}

constexpr char kEverything[] = R"(# a comment
display_name: A job
labels: {team: nlp, run: "7"}
base_model: minilm
dataset: datasets/reviews
task: text_classification
head: {dropout: 0.2, hidden_sizes: [256, 128], activation: gelu}
hyperparameters:
  n_epochs: 3
  learning_rate: 5e-5
  lr_scheduler_type: LR_SCHEDULER_TYPE_COSINE
  optimizer: adamw
  image_size: 192
augmentation:
  enabled: true
  crop_scale_min: 0.3
  rand_augment: {operations: 2, magnitude: 7}
  mixup_alpha: 0.2
phases:
  - name: head
    n_epochs: 1
    trainable: {head_only: true}
    augment: false
  - batch_norm: frozen
    trainable:
      patterns:
        patterns: ["encoder.layer.[0-3].*"]
      freeze:
        - embeddings.*
    plateau: {patience: 2, max_epochs: 9}
    layer_decay: 0.9
evaluation: {eval_steps: 50, metric_for_best_model: f1_macro, split: test}
checkpointing: {keep_last: 1}
seed: 18446744073709551615
precision: bf16
resources: {device: cuda:0, threads: 2}
)";

TEST(JobFileTest, ReadsEveryPartOfASpec) {
  v1::CreateFineTuningJobRequest expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(R"(
    display_name: "A job"
    labels { key: "team" value: "nlp" }
    labels { key: "run" value: "7" }
    spec {
      base_model: "models/minilm"
      dataset: "datasets/reviews"
      task: TASK_TEXT_CLASSIFICATION
      head { dropout: 0.2 hidden_sizes: 256 hidden_sizes: 128 activation: ACTIVATION_GELU }
      hyperparameters { n_epochs: 3 learning_rate: 5e-5 lr_scheduler_type: LR_SCHEDULER_TYPE_COSINE optimizer: OPTIMIZER_ADAMW image_size: 192 }
      augmentation { enabled: true crop_scale_min: 0.3 rand_augment { operations: 2 magnitude: 7 } mixup_alpha: 0.2 }
      phases { name: "head" n_epochs: 1 trainable { head_only: true } augment: false }
      phases {
        trainable { patterns { patterns: "encoder.layer.[0-3].*" } freeze: "embeddings.*" }
        plateau { patience: 2 max_epochs: 9 }
        layer_decay: 0.9
        batch_norm: BATCH_NORM_FROZEN
      }
      evaluation { eval_steps: 50 metric_for_best_model: "f1_macro" split: SPLIT_TEST }
      checkpointing { keep_last: 1 }
      seed: 18446744073709551615
      precision: PRECISION_BF16
      resources { device: "cuda:0" threads: 2 }
    })",
                                                            &expected));
  const v1::CreateFineTuningJobRequest request = Parse(kEverything);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(request, expected)) << request.DebugString();
}

TEST(JobFileTest, ASpecAsYamlReadsBackTheSame) {
  const v1::FineTuningSpec spec = Parse(kEverything).spec();
  const std::string yaml = SpecYaml(spec);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(Parse(yaml).spec(), spec)) << yaml;
  EXPECT_THAT(yaml, HasSubstr("learning_rate: 5e-05"));
  EXPECT_THAT(yaml, HasSubstr("precision: bf16"));
  EXPECT_THAT(yaml, HasSubstr("activation: gelu"));
  EXPECT_THAT(yaml, HasSubstr("batch_norm: frozen"));
}

TEST(JobFileTest, MapsOfNumbers) {
  constexpr char kText[] = R"(hyperparameters:
  class_balance: none
  class_weights: {spam: 3, "no": 0.5}
  l2_sp: 0.01
  ema_decay: 0.999
phases:
  - group_rates: {head: 10, layer.0: 1e-1}
gradual_unfreezing: {epochs_per_group: 2, layer_decay: 0.4}
)";
  v1::FineTuningSpec expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(R"(
    hyperparameters {
      class_balance: CLASS_BALANCE_NONE l2_sp: 0.01 ema_decay: 0.999
      class_weights { key: "spam" value: 3 } class_weights { key: "no" value: 0.5 }
    }
    phases { group_rates { key: "head" value: 10 } group_rates { key: "layer.0" value: 0.1 } }
    gradual_unfreezing { epochs_per_group: 2 layer_decay: 0.4 })",
                                                            &expected));
  const v1::FineTuningSpec spec = Parse(kText).spec();
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(spec, expected)) << spec.DebugString();
  const std::string yaml = SpecYaml(spec);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(Parse(yaml).spec(), expected)) << yaml;
  EXPECT_LT(yaml.find("no"), yaml.find("spam")) << "in the order of names:\n" << yaml;
}

TEST(JobFileTest, NumbersLoseNothing) {
  v1::FineTuningSpec spec;
  spec.mutable_hyperparameters()->set_learning_rate(0.1 + 0.2);
  spec.mutable_hyperparameters()->set_weight_decay(0);
  spec.set_seed(0);
  const v1::FineTuningSpec again = Parse(SpecYaml(spec)).spec();
  EXPECT_EQ(again.hyperparameters().learning_rate(), 0.1 + 0.2);
  EXPECT_TRUE(again.hyperparameters().has_weight_decay()) << "0 is not the same as nothing";
  EXPECT_TRUE(again.has_seed());
}

TEST(JobFileTest, ASpecIsWrittenAsPeopleWouldWriteIt) {
  const v1::FineTuningSpec spec = Parse(R"(
base_model: models/minilm
hyperparameters: {learning_rate: 2e-5, class_weights: {"a: b": 2, good: 1}}
head: {hidden_sizes: [64, 32]}
phases: [{name: "first one", trainable: {head_only: true}}, {}]
resources: {device: "cuda:0"}
)")
                                      .spec();
  EXPECT_EQ(SpecYaml(spec), R"(base_model: models/minilm
head:
  hidden_sizes:
    - 64
    - 32
hyperparameters:
  learning_rate: 2e-05
  class_weights:
    "a: b": 2
    good: 1
phases:
  - name: first one
    trainable:
      head_only: true
  - {}
resources:
  device: cuda:0
)");
}

TEST(JobFileTest, TextsThatLookLikeSomethingElseStayTexts) {
  v1::FineTuningSpec spec;
  for (const char* text : {"true", "12", "a: b", "- x", "", "null", "#x", "'", "\"", "\n", "é", "a\r", "\r\r", "a\rb", "a\r\nb", "~", "NO", "a #b", "a:", "a :b", " a", "a ", "a  b", "a b", "-", "---", "...", ". a", "!a",
                           "&a", "*a", "%a", "@a", "`", "{a}", "[a]", "a, b", "1e3", "0x10", "2001-01-01", "\t", "\x04", "\x7f", "\xC2\x85", "\xE2\x80\xA8", "\xEF\xBB\xBF", "\xEF\xBF\xBF", "\xEF\xB7\x90", "\xF0\x9F\xBF\xBE", "\xF0\x9F\x90\xA6",
                           "\\", "\\n", "a\nb", "a\n\n  b\n"})
    spec.add_phases()->set_name(text);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(Parse(SpecYaml(spec)).spec(), spec)) << SpecYaml(spec);
}

TEST(JobFileTest, LongNamesAreKeysToo) {  // found by fuzzing: YAML's own limit for a key is 1024 characters
  v1::FineTuningSpec spec;
  auto& weights = *spec.mutable_hyperparameters()->mutable_class_weights();
  for (const std::string& name : {std::string(300, '\x06'), std::string(2000, 'x'), "a: b\n" + std::string(1030, ' '), std::string("short"), std::string("a\r"), std::string("\xEF\xBF\xBF"), std::string("?")}) weights[name] = 2;
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(Parse(SpecYaml(spec)).spec(), spec)) << SpecYaml(spec);
}

TEST(JobFileTest, JsonIsYaml) {
  EXPECT_EQ(Parse(R"({"baseModel": "m", "hyperparameters": {"nEpochs": 2}})").spec().hyperparameters().n_epochs(), 2);
}

TEST(JobFileTest, AnEmptyFileIsNoJob) {
  for (const char* text : {"", "\n\n", "# nothing\n"}) EXPECT_EQ(ParseJobFile(text, "job.yaml").status().message(), "job.yaml:1: the job must be fields with values, like 'name: value'") << text;
}

TEST(JobFileTest, AnEmptyValueIsAsIfItWereNotThere) { EXPECT_FALSE(Parse("seed:\ndataset: d\n").spec().has_seed()); }

TEST(JobFileTest, FaultsNameLineAndRemedy) {
  const struct {
    const char* text;
    const char* fault;
  } cases[] = {
      {"base_model: m\nhyperparameters:\n  learning_rat: 1\n",
       "job.yaml:3: 'hyperparameters' has no field 'learning_rat'; did you mean 'learning_rate'?"},
      {"base_modle: m\n", "job.yaml:1: the job has no field 'base_modle'; did you mean 'base_model'?"},
      {"lables: {a: b}\n", "did you mean 'labels'?"},
      {"n_epochs: 3\n", "job.yaml:1: the job has no field 'n_epochs'; it belongs under 'hyperparameters'"},
      {"phases:\n  - name: a\n    trainable: {head_onyl: true}\n",
       "job.yaml:3: 'trainable' has no field 'head_onyl'; did you mean 'head_only'?"},
      {"zzz: 1\n", "job.yaml:1: the job has no field 'zzz'; it has base_model, dataset"},
      {"precision: bf17\n", "job.yaml:1: 'precision': 'bf17' is not one of fp32, bf16; did you mean 'bf16'?"},
      {"hyperparameters: {n_epochs: three}\n", "'n_epochs': expected a whole number, got 'three'"},
      {"hyperparameters: {n_epochs: 2.5}\n", "expected a whole number within range, got '2.5'"},
      {"hyperparameters: {n_epochs: 99999999999}\n", "expected a whole number within range"},
      {"hyperparameters: {learning_rate: nan}\n", "expected a finite number, got 'nan'"},
      {"hyperparameters: {learning_rate: [1]}\n", "'learning_rate' must be one value"},
      {"hyperparameters: 3\n", "'hyperparameters' must be fields with values"},
      {"phases: head\n", "'phases' must be a list"},
      {"phases:\n  - n_epochs: 1\n    max_steps: 2\n",
       "job.yaml:3: 'max_steps' and 'n_epochs' (line 2) exclude each other: keep one"},
      {"phases: [{trainable: {all: maybe}}]\n", "'all': expected true or false, got 'maybe'"},
      {"augmentation: {mixup_alfa: 1}\n", "'augmentation' has no field 'mixup_alfa'; did you mean 'mixup_alpha'?"},
      {"head: {hidden_sizes: 256}\n", "'hidden_sizes' must be a list"},
      {"head: {hidden_sizes: [256, x]}\n", "'hidden_sizes': expected a whole number, got 'x'"},
      {"phases: [{batch_norm: freeze}]\n", "'batch_norm': 'freeze' is not one of frozen, train"},
      {"seed: 1\nseed: 2\n", "job.yaml:2: 'seed' is already given on line 1"},
      {"labels: nlp\n", "'labels' must be pairs, like 'team: nlp'"},
      {"hyperparameters:\n  class_weights: {a: much}\n",
       "job.yaml:2: 'class_weights', 'a': expected a finite number, got 'much'"},
      {"hyperparameters: {class_weights: 3}\n", "'class_weights' must be pairs, like 'name: 2'"},
      {"hyperparameters: {class_weights: {a: [1]}}\n", "an entry of 'class_weights' must be a name with a value"},
      {"- a\n", "job.yaml:1: the job must be fields with values"},
      {"", "the job must be fields with values"},
      {"a: [\n", "not YAML"},
      {"a: b: c\n", "job.yaml:1: not YAML"},
      {"spec: {}\n", "the job has no field 'spec'"},
  };
  for (const auto& c : cases) EXPECT_THAT(FaultsOf(c.text), HasSubstr(c.fault)) << c.text;
}

TEST(JobFileTest, AllFaultsAtOnce) {
  EXPECT_EQ(FaultsOf("base_modle: m\nseed: x\nprecision: fp16\n"),
            "job.yaml:1: the job has no field 'base_modle'; did you mean 'base_model'?\n"
            "job.yaml:2: 'seed': expected a whole number, got 'x'\n"
            "job.yaml:3: 'precision': 'fp16' is not one of fp32, bf16; did you mean 'fp32'?");
}

}  // namespace
}  // namespace attune::cli
