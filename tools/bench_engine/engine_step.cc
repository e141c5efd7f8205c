// Times forward + backward (dropout on, no optimizer, no input work) of a text classifier on batches of real texts. compare.py runs it beside transformers.
//
//   engine_step MODEL_DIR TEXTS(one a line) [--batch 32] [--steps 20] [--max-length 512] [--threads 2] [--bf16] [--eval]
#include <algorithm>
#include <chrono>
#include <ctime>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include "server/base/files.h"
#include "server/tokenizers/tokenizer.h"
#include "server/training/input/text_batches.h"
#include "server/training/models/model.h"
#include "server/training/tasks/task.h"

using namespace attune;            // NOLINT: a program of one file
using namespace attune::training;  // NOLINT

namespace {

struct Options {
  std::string model_dir, texts;
  int64_t batch = 32, steps = 20, max_length = 512, threads = 2;
  bool bf16 = false, eval = false;
};

Options Parse(int argc, char** argv) {
  Options options;
  options.model_dir = argv[1];
  options.texts = argv[2];
  std::map<std::string, int64_t*> numbers = {
      {"--batch", &options.batch}, {"--steps", &options.steps}, {"--max-length", &options.max_length}, {"--threads", &options.threads}};
  for (int i = 3; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--bf16") {
      options.bf16 = true;
    } else if (flag == "--eval") {
      options.eval = true;
    } else if (numbers.count(flag) && i + 1 < argc) {
      *numbers[flag] = std::stoll(argv[++i]);
    } else {
      std::cerr << "unknown option " << flag << "\n";
      std::exit(2);
    }
  }
  return options;
}

std::vector<Batch> ReadBatches(const Options& options) {
  const auto tokenizer = tokenizers::LoadTokenizer(options.model_dir).value();
  std::ifstream file(options.texts);
  std::vector<Batch> batches;
  std::vector<TokenizedText> texts;
  for (std::string line; static_cast<int64_t>(batches.size()) < options.steps && std::getline(file, line);) {
    texts.push_back(Tokenize(*tokenizer, line, nullptr, static_cast<int32_t>(options.max_length)));
    if (static_cast<int64_t>(texts.size()) < options.batch) continue;
    batches.push_back(PackTexts(texts));
    batches.back().targets = at::zeros({options.batch}, at::kLong);
    texts.clear();
  }
  return batches;
}

// Processor time of all threads: with one thread it says what a step costs even where the machine is busy.
double CpuSeconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

double Step(Model& model, Task& task, const std::vector<Parameter>& parameters, const Batch& batch, const Options& options) {
  for (const Parameter& parameter : parameters) at::Tensor(parameter.tensor).mutable_grad().reset();
  at::manual_seed(1);
  const auto start = std::chrono::steady_clock::now();
  at::autocast::set_autocast_enabled(at::kCPU, options.bf16);
  at::Tensor loss;
  {
    at::AutoGradMode grad(!options.eval);
    loss = options.eval ? task.Loss(task.Logits(model.Forward(batch, {}).features, false), batch.targets)
                        : task.TrainingLoss(model.Forward(batch, {.training = true}), batch);
  }
  at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(at::kCPU, false);
  if (!options.eval) loss.backward();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: engine_step MODEL_DIR TEXTS [options]\n";
    return 2;
  }
  const Options options = Parse(argc, argv);
  at::set_num_threads(static_cast<int>(options.threads));
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  const ModelFactory& factory = *ModelRegistry::Get().Find("bert");
  const nlohmann::json config = nlohmann::json::parse(ReadFile(options.model_dir + "/config.json").value());
  const auto model = factory.create(config, 1);
  LoadWeights(*model, factory, options.model_dir + "/model.safetensors");
  TaskOptions task_options;
  task_options.labels = {"a", "b", "c"};
  task_options.feature_size = model->feature_size();
  task_options.head_dropout = model->default_head_dropout();
  task_options.head_name = "classifier";
  const auto task = TaskRegistry::Get().Find("text-classification")->create(task_options);
  std::vector<Parameter> parameters = model->parameters();
  for (const Parameter& parameter : task->head_parameters()) parameters.push_back(parameter);
  for (const Parameter& parameter : parameters) at::Tensor(parameter.tensor).requires_grad_(true);

  const std::vector<Batch> batches = ReadBatches(options);
  Step(*model, *task, parameters, batches[0], options);
  Step(*model, *task, parameters, batches[0], options);
  std::vector<double> seconds;
  double total = 0;
  const double cpu_before = CpuSeconds();
  int64_t tokens = 0, sequences = 0;
  for (const Batch& batch : batches) {
    seconds.push_back(Step(*model, *task, parameters, batch, options));
    total += seconds.back();
    tokens += batch.tokens;
    sequences += batch.sequences;
  }
  const double cpu = CpuSeconds() - cpu_before;
  std::sort(seconds.begin(), seconds.end());
  std::printf("{\"samples_per_second\": %.1f, \"tokens_per_second\": %.0f, \"median_step_ms\": %.2f, \"cpu_step_ms\": %.2f, \"steps\": %zu, \"tokens_per_step\": %.0f}\n",
              sequences / total, tokens / total, seconds[seconds.size() / 2] * 1e3, cpu / seconds.size() * 1e3, seconds.size(), static_cast<double>(tokens) / seconds.size());
}
