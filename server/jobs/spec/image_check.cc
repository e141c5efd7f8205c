// The parts of the spec check that are about images: their size, and how training changes them. Defaults as in training_spec.proto.
#include <algorithm>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "server/jobs/spec/spec_context.h"

namespace attune::jobs {
namespace {

constexpr int kMaxImageSize = 1024;
constexpr double kCropScaleMin = 0.4;
constexpr double kHorizontalFlip = 0.5;
constexpr int kOperations = 2;
constexpr int kMagnitude = 9;
constexpr double kMaxAlpha = 10;
constexpr int kMaxCachedViews = 64;
constexpr int kMaxTestViews = 32;

// Whatever is set beside enabled: false.
void RefuseTheRest(SpecContext& context, const v1::AugmentationSpec& augmentation) {
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  augmentation.GetReflection()->ListFields(augmentation, &fields);
  for (const auto* field : fields) {
    if (field->number() == v1::AugmentationSpec::kEnabledFieldNumber) continue;
    context.Fault(StrCat("augmentation.", field->name()), "augmentation.enabled is false, so this cannot be used; leave one of the two out");
  }
}

void CheckRanges(SpecContext& context, const v1::AugmentationSpec& a) {
  if (a.has_crop_scale_min()) context.PositiveShare("augmentation.crop_scale_min", a.crop_scale_min());
  if (a.has_horizontal_flip()) context.InRange("augmentation.horizontal_flip", a.horizontal_flip(), 0.0, 1.0);
  if (a.has_brightness()) context.InRange("augmentation.brightness", a.brightness(), 0.0, 1.0);
  if (a.has_contrast()) context.InRange("augmentation.contrast", a.contrast(), 0.0, 1.0);
  if (a.has_saturation()) context.InRange("augmentation.saturation", a.saturation(), 0.0, 1.0);
  if (a.has_hue()) context.InRange("augmentation.hue", a.hue(), 0.0, 0.5);
  if (a.has_mixup_alpha()) context.InRange("augmentation.mixup_alpha", a.mixup_alpha(), 0.0, kMaxAlpha);
  if (a.has_cutmix_alpha()) context.InRange("augmentation.cutmix_alpha", a.cutmix_alpha(), 0.0, kMaxAlpha);
  context.InRange("augmentation.cached_views", a.cached_views(), 0, kMaxCachedViews);
  if (!a.has_rand_augment()) return;
  if (a.rand_augment().operations() != 0) context.InRange("augmentation.rand_augment.operations", a.rand_augment().operations(), 1, 8);
  if (a.rand_augment().magnitude() != 0) context.InRange("augmentation.rand_augment.magnitude", a.rand_augment().magnitude(), 1, 30);
}

void RefuseMixingOfNumbers(SpecContext& context, const v1::AugmentationSpec& a) {
  if (KindOf(context.task) != v1::LABEL_KIND_REGRESSION) return;
  constexpr char kWhy[] = "mixes the classes of two images, and the task is image-regression; leave it out";
  if (a.mixup_alpha() > 0) context.Fault("augmentation.mixup_alpha", kWhy);
  if (a.cutmix_alpha() > 0) context.Fault("augmentation.cutmix_alpha", kWhy);
}

void FillIn(v1::AugmentationSpec& a) {
  a.set_enabled(true);
  if (!a.has_crop_scale_min()) a.set_crop_scale_min(kCropScaleMin);
  if (!a.has_horizontal_flip()) a.set_horizontal_flip(kHorizontalFlip);
  if (!a.has_brightness()) a.set_brightness(0);
  if (!a.has_contrast()) a.set_contrast(0);
  if (!a.has_saturation()) a.set_saturation(0);
  if (!a.has_hue()) a.set_hue(0);
  if (!a.has_mixup_alpha()) a.set_mixup_alpha(0);
  if (!a.has_cutmix_alpha()) a.set_cutmix_alpha(0);
  if (!a.has_rand_augment()) return;
  if (a.rand_augment().operations() == 0) a.mutable_rand_augment()->set_operations(kOperations);
  if (a.rand_augment().magnitude() == 0) a.mutable_rand_augment()->set_magnitude(kMagnitude);
}

}  // namespace

void CheckImageSize(SpecContext& context) {
  v1::Hyperparameters& h = *context.effective.mutable_hyperparameters();
  const v1::Model& model = context.input.model;
  constexpr char kField[] = "hyperparameters.image_size";
  if (context.texts()) {
    if (h.has_image_size()) context.Fault(kField, StrCat("is for images, and ", context.WhyNot(), "; leave it out"));
    return;
  }
  bool model_of_images = context.model_known && context.images();
  if (!h.has_image_size()) {
    if (model_of_images) h.set_image_size(model.image_size());
    return;
  }
  int least = model_of_images ? std::max(1, model.min_image_size()) : 1;
  if (h.image_size() < least || h.image_size() > kMaxImageSize) {
    context.Fault(kField, StrCat("must be ", least, model_of_images ? StrCat(" (the least that ", model.name(), " takes)") : "", " to ", kMaxImageSize, ", not ",
                                 h.image_size()));
  } else if (model_of_images && model.image_size_multiple() > 1 && h.image_size() != model.image_size() && h.image_size() % model.image_size_multiple() != 0) {
    int below = h.image_size() / model.image_size_multiple() * model.image_size_multiple();
    int above = below + model.image_size_multiple();
    context.Fault(kField, StrCat("must be a multiple of ", model.image_size_multiple(), " (", model.name(), "'s patches), not ", h.image_size(), "; use ",
                                 above > kMaxImageSize || (below >= least && h.image_size() - below <= above - h.image_size()) ? below : above));
  }
}

void CheckAugmentation(SpecContext& context) {
  const v1::AugmentationSpec& asked = context.input.spec.augmentation();
  if (context.texts()) {
    if (context.input.spec.has_augmentation()) context.Fault("augmentation", StrCat("is for images, and ", context.WhyNot(), "; leave it out"));
    return;
  }
  if (asked.has_enabled() && !asked.enabled()) {
    RefuseTheRest(context, asked);
    return;
  }
  CheckRanges(context, asked);
  RefuseMixingOfNumbers(context, asked);
  if (asked.cached_views() > 0 && (asked.mixup_alpha() > 0 || asked.cutmix_alpha() > 0)) {
    context.Warn("augmentation.cached_views: phases whose lowest layers are frozen see fixed views and mix no images; mixup and CutMix are for the other phases");
  }
  if (context.images()) FillIn(*context.effective.mutable_augmentation());
}

void CheckTestViews(SpecContext& context) {
  constexpr char kField[] = "evaluation.test_views";
  int views = context.input.spec.evaluation().test_views();
  if (!context.InRange(kField, views, 0, kMaxTestViews) || views <= 1) return;
  if (context.texts()) {
    context.Fault(kField, StrCat("is for images, and ", context.WhyNot(), "; leave it out"));
  } else if (context.dataset_known && RowsOf(context.input.dataset, v1::SPLIT_TEST) == 0) {
    context.Warn(StrCat(kField, " is not used: ", context.input.dataset.name(), " has no test rows"));
  }
}

}  // namespace attune::jobs
