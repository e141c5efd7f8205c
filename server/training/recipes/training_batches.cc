#include "server/training/recipes/training_batches.h"

#include <utility>

#include "server/base/counter_random.h"
#include "server/training/input/replay_batches.h"

namespace attune::training {
namespace {

constexpr uint64_t kReplayStream = 0x5245504C'00000000ull;  // of the job's seed: the order of the second dataset's rows, and their views

}  // namespace

std::unique_ptr<BatchSource> WithReplay(const JobSetup& setup, std::unique_ptr<BatchSource> own, const FineTuneSpec& spec, bool augmented, int64_t rows_per_batch) {
  const Replay& replay = *setup.replay;
  const BatchRowsOptions rows = {.rows = replay.reader->size(examples::Split::kTrain),
                                 .batch_size = static_cast<int>(rows_per_batch),
                                 .seed = StreamKey(spec.seed, kReplayStream),
                                 .shuffle = true};
  const Task* head = replay.head != nullptr ? replay.head.get() : setup.headed.task.get();
  auto second = replay.input->Batches(examples::Split::kTrain, rows, {augmented ? RowView::kRandom : RowView::kPlain}, TargetsOf(*head));
  return std::make_unique<ReplayBatches>(std::move(own), std::move(second), rows.rows / rows.batch_size);
}

FeatureRequest TrainingRequest(const JobSetup& setup, const FineTuneSpec& spec, int phase) {
  const PlannedPhase& planned = setup.plan->phases()[phase];
  FeatureRequest request = {.augmented = spec.phases[planned.index].augment, .first_epoch = planned.first_epoch, .epochs = setup.plan->Epochs(phase)};
  request.rows = {.rows = setup.rows(examples::Split::kTrain), .batch_size = OwnBatchSize(spec), .seed = spec.seed, .shuffle = true, .order = setup.balancing.order};
  request.keep = setup.replay == nullptr;  // a batch's rows go through the layers together
  return request;
}

std::unique_ptr<BatchSource> TrainingBatches(JobSetup& setup, FeatureCache& features, const FineTuneSpec& spec, int phase, const std::function<bool()>& stop_requested) {
  const FeatureRequest request = TrainingRequest(setup, spec, phase);
  std::unique_ptr<BatchSource> own = features.Batches(request, setup.targets(), stop_requested);
  if (own == nullptr || setup.replay == nullptr) return own;
  return WithReplay(setup, std::move(own), spec, request.augmented, setup.replay->rows_per_batch);
}

}  // namespace attune::training
