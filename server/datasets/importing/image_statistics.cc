#include "server/datasets/importing/image_statistics.h"

#include <algorithm>
#include <vector>

namespace attune::datasets {

v1::ImageReport ReportImages(const RowTable& table) {
  v1::ImageReport report;
  report.set_wrong_extensions(table.wrong_extensions);
  report.set_other_files(table.other_files);
  std::vector<int32_t> widths, heights;
  for (size_t i = 0; i < table.images.size(); ++i) {
    if (table.rows[i].left_out) continue;
    const ImageRow& image = table.images[i];
    widths.push_back(image.facts.width);
    heights.push_back(image.facts.height);
    ++(*report.mutable_format_counts())[image.facts.format];
    report.set_total_bytes(report.total_bytes() + image.bytes);
  }
  if (widths.empty()) return report;
  std::sort(widths.begin(), widths.end());
  std::sort(heights.begin(), heights.end());
  const size_t median = (widths.size() - 1) / 2;
  report.set_min_width(widths.front());
  report.set_median_width(widths[median]);
  report.set_max_width(widths.back());
  report.set_min_height(heights.front());
  report.set_median_height(heights[median]);
  report.set_max_height(heights.back());
  return report;
}

}  // namespace attune::datasets
