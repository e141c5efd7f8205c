#include "server/images/image_info.h"

#include <utility>

#include "server/base/status_macros.h"
#include "server/images/codecs/codec.h"

namespace attune::images {

const char* ImageFormatName(ImageFormat format) { return CodecOf(format).name; }

absl::StatusOr<ImageInfo> ReadImageInfo(std::string_view bytes) {
  ATTUNE_ASSIGN_OR_RETURN(const Codec* codec, FindCodec(bytes));
  ATTUNE_ASSIGN_OR_RETURN(ImageInfo info, ReadStoredInfo(*codec, bytes));
  if (info.orientation >= 5) std::swap(info.width, info.height);
  return info;
}

}  // namespace attune::images
