// What a worker trains: the plain form of attune.v1.FineTuningSpec with every value filled in. Free of torch and protobuf, so that worker/ can convert on
// one side and recipes/ use it on the other. Field meanings and units: proto/attune/v1/training_spec.proto.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/architectures/pooling.h"

namespace attune::training {

enum class OptimizerKind { kAdamW, kSgd };
enum class ScheduleKind { kLinear, kCosine, kConstant };
enum class Precision { kFp32, kBf16 };
enum class HeadActivation { kRelu, kGelu, kTanh, kSilu };
enum class ClassBalance { kNone, kWeightedLoss, kBalancedSampling };

struct OptimizerSpec {
  OptimizerKind kind = OptimizerKind::kAdamW;
  double weight_decay = 0.01;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double momentum = 0.9;
  double max_grad_norm = 1.0;  // 0: not clipped
};

struct TrainableSpec {
  enum class Base { kHeadOnly, kLastNGroups, kAll, kPatterns };
  Base base = Base::kAll;
  int last_n_groups = 0;
  std::vector<std::string> patterns;  // over full names and over names without the architecture's prefix
  std::vector<std::string> freeze;
};

// Of training images; nothing is changed where not enabled.
struct AugmentationSpec {
  bool enabled = false;
  double crop_scale_min = 1;  // 1: no random crop
  double horizontal_flip = 0;
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;
  int rand_augment_operations = 0;  // 0: none
  int rand_augment_magnitude = 9;
  double mixup_alpha = 0, cutmix_alpha = 0;  // 0: none
  int cached_views = 0;  // over 0: phases with frozen layers at the bottom see this many fixed views
};

// Low-rank adapters beside weights of the base model.
struct LoraSpec {
  bool enabled = false;
  int rank = 8;
  double alpha = 16;
  std::vector<std::string> target_modules;  // patterns; empty: the architecture's usual ones
};

// In place of fine-tuning.
struct LrRangeTestSpec {
  bool enabled = false;
  double min_learning_rate = 1e-7, max_learning_rate = 1;
};

struct PhaseSpec {
  std::string name;
  int n_epochs = 0;             // > 0: ends by epochs (for plateau phases: at most)
  int64_t max_steps = 0;        // > 0: ends by steps
  int plateau_patience = 0;     // > 0: ends when evaluations stop improving
  TrainableSpec trainable;
  double learning_rate = 5e-5;  // the multiplier is already applied
  double layer_decay = 1.0;
  std::map<std::string, double> group_rates;  // layer group or "head" -> multiplier; empty: by layer_decay
  int64_t warmup_steps = -1;    // -1: by ratio
  double warmup_ratio = 0.06;
  bool train_batch_norm = true;  // of layers that learn; false: its running statistics stay and are used
  bool augment = true;           // as FineTuneSpec::augmentation says, if that is enabled
};

// What the owner changed while the job trained. Absent: as the spec says.
struct LiveSettings {
  std::optional<double> learning_rate_scale;  // multiplies every rate
  std::optional<int> n_epochs;                // of the last phase, if that ends by epochs
  std::optional<int> early_stopping_patience;
  bool operator==(const LiveSettings&) const = default;
};

// A change that takes effect between two optimizer steps.
struct Adjustment {
  int64_t after_step = -1;  // steps of the job before it; -1: before the next one
  int batch_parts = 0;      // over 0: batches go through the model in so many parts
  LiveSettings live_settings;  // all that were changed up to then
  bool operator==(const Adjustment&) const = default;
};

struct FineTuneSpec {
  std::string base_model;       // resource name, for the checkpoint's own record
  int64_t begins_after = 0;     // step of another job's checkpoint that this one goes on from; 0: it begins at the beginning
  std::string task;             // "text-classification", ...
  double head_dropout = 0.1;
  std::vector<int> head_hidden_sizes;  // from the features up; empty: one linear layer
  HeadActivation head_activation = HeadActivation::kRelu;  // after each hidden layer
  architectures::Pooling head_pooling = architectures::Pooling::kOwn;  // kOwn: as the base model's config.json says
  std::vector<PhaseSpec> phases;
  int64_t max_steps = 0;        // of the whole job; 0: no limit
  int batch_size = 32;
  int accumulation = 1;
  int eval_batch_size = 64;
  int max_length = 512;         // of texts
  int image_size = 0;           // side of images; 0: the model's own
  AugmentationSpec augmentation;
  LoraSpec lora;
  LrRangeTestSpec lr_range_test;  // its steps are the phase's
  double replay_fraction = 0;     // share of each batch's rows from the second dataset; 0: there is none
  ScheduleKind schedule = ScheduleKind::kLinear;
  OptimizerSpec optimizer;
  double label_smoothing = 0;
  ClassBalance class_balance = ClassBalance::kNone;
  std::map<std::string, double> class_weights;  // by name; empty: by class_balance
  double l2_sp = 0;                 // pull to the pretrained weights; 0: none
  double ema_decay = 0;             // of the average of the weights; 0: none
  int early_stopping_patience = 0;  // 0: never
  int64_t eval_steps = 0;           // 0: each epoch
  int64_t save_steps = 0;           // 0: each epoch
  int keep_last = 2;
  std::string best_metric;          // "accuracy", ...
  std::string eval_split = "validation";
  int test_views = 1;               // of each image, averaged in the final evaluation
  std::vector<Adjustment> adjustments;  // of earlier attempts, to be repeated at their steps
  uint64_t seed = 42;
  Precision precision = Precision::kFp32;
  std::string device = "cpu";       // "cpu", "cuda:0"
  int threads = 1;
};

struct JobPaths {
  std::string model_dir;
  std::string dataset_dir;
  std::string output_dir;  // checkpoints go to {output_dir}/checkpoints/step-N
  std::string resume_dir;  // empty: from the start
  std::string feature_cache_dir;    // outputs of frozen layers, shared by jobs; empty: nothing is kept
  int64_t feature_cache_bytes = 0;  // most to keep there
  std::string replay_dataset_dir;   // the second dataset; empty: none
  std::string warm_start_dir;       // checkpoint whose weights take the place of the base model's; empty: those
};

}  // namespace attune::training
