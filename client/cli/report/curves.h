// How training went, as charts: losses, learning rate, validation metrics, speed and the wait for input, with the
// phases' boundaries. Pure.
#pragma once

#include <string>
#include <vector>

#include "client/cli/report/markup/chart.h"
#include "client/cli/report/markup/html.h"
#include "client/cli/report/report_data.h"

namespace attune::cli {

// The values of one metric by step. Where an attempt went back to a checkpoint, its values replace those of the attempt
// before.
Curve MetricCurve(const std::vector<v1::MetricPoint>& points, const std::string& name);

// The first step of each phase, by the metrics; resumed attempts count once.
std::vector<ChartMark> PhaseMarks(const std::vector<v1::MetricPoint>& points);

// All charts; those without any value are left out.
Html CurvesSection(const ReportData& data);

}  // namespace attune::cli
