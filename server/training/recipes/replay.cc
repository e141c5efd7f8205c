#include "server/training/recipes/replay.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "server/base/counter_random.h"
#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

constexpr uint64_t kReplayHeadStream = 0x5245504C'48454144ull;

}  // namespace

std::vector<Parameter> Replay::parameters() const {
  std::vector<Parameter> all;
  if (head != nullptr) all = head->head_parameters();
  for (Parameter& parameter : all) parameter.name = "replay_head." + parameter.name;
  return all;
}

std::vector<NamedTensor> Replay::State() const {
  std::vector<NamedTensor> state;
  for (const Parameter& parameter : parameters()) state.push_back({parameter.name, parameter.tensor});
  return state;
}

int64_t ReplayRows(int64_t batch_size, double fraction) {
  if (fraction <= 0) return 0;
  if (batch_size < 2) throw std::invalid_argument("replay needs a batch_size of at least 2: one row of each dataset");
  return std::clamp<int64_t>(std::llround(fraction * static_cast<double>(batch_size)), 1, batch_size - 1);
}

std::unique_ptr<Replay> OpenReplay(const FineTuneSpec& spec, const std::string& directory, const examples::DatasetManifest& manifest, const JobInput& input,
                                   const HeadedModel& headed, const nlohmann::json& config) {
  if (directory.empty()) throw std::invalid_argument("replay needs its dataset's directory");
  auto reader = examples::ExampleReader::Open(directory);
  ThrowIfError(reader.status());
  auto replay = std::make_unique<Replay>();
  replay->reader = *reader;
  const examples::DatasetManifest& other = replay->reader->manifest();
  if (other.modality != manifest.modality || other.label_kind != manifest.label_kind) {
    throw std::invalid_argument("replay.dataset holds other rows than dataset: both must hold texts or both images, with the same kind of labels");
  }
  if (replay->reader->size(examples::Split::kTrain) == 0) throw std::invalid_argument("replay.dataset has no training rows; import it with a train split");
  replay->input = input.Over(replay->reader);
  replay->rows_per_batch = ReplayRows(spec.batch_size, spec.replay_fraction);
  if (other.labels == manifest.labels) return replay;
  HeadOptions options = HeadOptionsOf(spec, other.labels);
  options.seed = StreamKey(spec.seed, kReplayHeadStream);
  replay->head = CreateHead(headed, config, options);
  return replay;
}

}  // namespace attune::training
