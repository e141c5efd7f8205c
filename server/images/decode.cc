#include "server/images/decode.h"

#include <utility>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/images/codecs/codec.h"
#include "server/images/codecs/exif.h"

namespace attune::images {

absl::StatusOr<Image> Decode(std::string_view bytes, const DecodeOptions& options) {
  ATTUNE_ASSIGN_OR_RETURN(const Codec* codec, FindCodec(bytes));
  ATTUNE_ASSIGN_OR_RETURN(const ImageInfo stored, ReadStoredInfo(*codec, bytes));
  const int64_t pixels = int64_t{stored.width} * stored.height;
  if (pixels > options.max_pixels) {
    return absl::InvalidArgumentError(StrCat("the image has ", stored.width, " x ", stored.height, " pixels, more than the ", options.max_pixels,
                                             " that are decoded; make it smaller, models see far less"));
  }
  ATTUNE_ASSIGN_OR_RETURN(Image image, codec->decode(bytes, stored, options.shorter_side));
  return Oriented(std::move(image), stored.orientation);
}

}  // namespace attune::images
