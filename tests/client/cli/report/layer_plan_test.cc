// Which layers learn, for each kind of Trainable. tests/training/report compares the rule with the worker's.
#include "client/cli/report/layer_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/report/layer_section.h"
#include "tests/client/cli/report/page_checker.h"
#include "tests/client/cli/report/sample_data.h"

namespace attune::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int kHeadParameters = 10;

// The plan of one phase, as "embeddings:frozen layer.0:20@0.001 ...": trained parameters and rate.
std::vector<std::string> PlanOf(const std::string& phase, const v1::DescribeLayersResponse& layers = SampleLayers(),
                                const std::string& head = "") {
  const auto spec = Parse<v1::FineTuningSpec>("head { " + head +
                                              " } hyperparameters { learning_rate: 1e-3 } phases { " + phase + " }");
  const LayerPlan plan = MakeLayerPlan(spec, SampleModel(), layers, kHeadParameters);
  std::vector<std::string> text;
  for (const LayerGroupPlan& group : plan.groups) {
    const GroupInPhase& in_phase = group.phases.at(0);
    char line[100] = "frozen";
    const char* part = in_phase.state == LearnState::kPartly ? "part " : "";
    if (in_phase.state != LearnState::kFrozen)
      std::snprintf(line, sizeof(line), "%s%d@%g", part, static_cast<int>(in_phase.trained_parameters),
                    in_phase.learning_rate);
    text.push_back(line);
  }
  return text;
}

TEST(LayerPlanTest, EveryKindOfBase) {
  EXPECT_THAT(PlanOf("trainable { all: true }"), ElementsAre("120@0.001", "44@0.001", "44@0.001", "10@0.001"));
  EXPECT_THAT(PlanOf(""), ElementsAre("120@0.001", "44@0.001", "44@0.001", "10@0.001")) << "nothing said means all";
  EXPECT_THAT(PlanOf("trainable { head_only: true }"), ElementsAre("frozen", "frozen", "frozen", "10@0.001"));
  EXPECT_THAT(PlanOf("trainable { last_n_groups: 2 }"), ElementsAre("frozen", "44@0.001", "44@0.001", "10@0.001"));
  EXPECT_THAT(PlanOf("trainable { last_n_groups: 9 }"), ElementsAre("120@0.001", "44@0.001", "44@0.001", "10@0.001"));
  EXPECT_THAT(PlanOf("trainable { patterns { patterns: \"layer.[0-1].*\" } }"),
              ElementsAre("frozen", "44@0.001", "44@0.001", "10@0.001"));
}

TEST(LayerPlanTest, PatternsThatSplitAGroup) {
  EXPECT_THAT(PlanOf("trainable { patterns { patterns: \"*.bias\" } }"),
              ElementsAre("frozen", "part 4@0.001", "part 4@0.001", "10@0.001"));
  EXPECT_THAT(PlanOf("trainable { all: true freeze: \"embeddings.word\" }"),
              ElementsAre("part 20@0.001", "44@0.001", "44@0.001", "10@0.001"));
  EXPECT_THAT(PlanOf("trainable { last_n_groups: 1 freeze: \"layer.1.*\" }"),
              ElementsAre("frozen", "frozen", "frozen", "10@0.001"));
}

TEST(LayerPlanTest, FreezingTheHead) {
  EXPECT_THAT(PlanOf("trainable { all: true freeze: \"classifier.*\" } layer_decay: 0.5"),
              ElementsAre("120@0.00025", "44@0.0005", "44@0.001", "frozen"))
      << "the topmost group that learns has the phase's rate";
  EXPECT_THAT(PlanOf("trainable { all: true freeze: \"classifier.bias\" }"),
              ElementsAre("120@0.001", "44@0.001", "44@0.001", "part 0@0.001"));
  EXPECT_THAT(PlanOf("trainable { all: true freeze: \"classifier.1.*\" }", SampleLayers(), "hidden_sizes: 8"),
              ElementsAre("120@0.001", "44@0.001", "44@0.001", "part 0@0.001"));
}

TEST(LayerPlanTest, RatesDecayFromTheTop) {
  EXPECT_THAT(PlanOf("trainable { all: true } learning_rate: 0.8 layer_decay: 0.5"),
              ElementsAre("120@0.1", "44@0.2", "44@0.4", "10@0.8"));
  auto spec = Parse<v1::FineTuningSpec>(
      "hyperparameters { learning_rate_multiplier: 2 } phases { trainable { head_only: true } learning_rate: 0.1 }");
  EXPECT_EQ(MakeLayerPlan(spec, SampleModel(), SampleLayers(), 0).groups.back().phases.at(0).learning_rate, 0.2);
}

TEST(LayerPlanTest, TheServersMatchesCountWhereAPatternHasThePrefix) {
  auto layers = SampleLayers();
  EXPECT_THAT(PlanOf("trainable { patterns { patterns: \"bert.layer.1.*\" } }", layers),
              ElementsAre("frozen", "frozen", "frozen", "10@0.001"));
  *layers.add_matches() =
      Parse<v1::PatternMatch>(R"(pattern: "bert.layer.1.*" names: "layer.1.weight" names: "layer.1.bias")");
  EXPECT_THAT(PlanOf("trainable { patterns { patterns: \"bert.layer.1.*\" } }", layers),
              ElementsAre("frozen", "frozen", "44@0.001", "10@0.001"));
}

TEST(LayerPlanTest, PatternsOfAllPhasesOnce) {
  const auto spec = Parse<v1::FineTuningSpec>(R"(
    phases { trainable { patterns { patterns: "a" patterns: "b" } freeze: "c" } } phases { trainable { all: true freeze: "a" freeze: "d" } })");
  EXPECT_THAT(PatternsOf(spec), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(PatternsOf(v1::FineTuningSpec()), IsEmpty());
}

TEST(LayerSectionTest, SaysOfEachPhaseWhatLearns) {
  const std::string text = LayerSection(SampleData()).text();
  EXPECT_THAT(FaultsOf(text), IsEmpty());
  EXPECT_THAT(
      text,
      HasSubstr("<td>head (new)</td><td class=\"n\">10</td><td><span class=\"trained\">head only at 0.001</span></td>"
                "<td><span class=\"trained\">trained at 0.0001</span></td>"));
  EXPECT_THAT(text,
              HasSubstr("<td>layer.1</td><td class=\"n\">44</td><td><span class=\"frozen\">frozen</span></td><td><span "
                        "class=\"trained\">trained at 5e-05</span></td>"));
  EXPECT_THAT(
      text,
      HasSubstr(
          "<td>head and the last 1 group</td><td>1 epoch</td><td class=\"n\">54</td><td class=\"n\">24.8 %</td>"));
}

TEST(LayerSectionTest, PartialGroupsPhasesThatDidNotBeginAndMissingLayers) {
  ReportData data = SampleData();
  data.events.clear();
  *data.job.mutable_effective_spec()->mutable_phases(1)->mutable_trainable() =
      Parse<v1::Trainable>(R"(patterns { patterns: "*.bias" } freeze: "<x>")");
  std::string text = LayerSection(data).text();
  EXPECT_THAT(FaultsOf(text), IsEmpty());
  EXPECT_THAT(text, HasSubstr("partial: 4 of 44 at 5e-05"));
  EXPECT_THAT(text, HasSubstr("head and *.bias without &lt;x&gt;"));
  EXPECT_THAT(text, HasSubstr("not begun"));
  data.layers.reset();
  text = LayerSection(data).text();
  EXPECT_THAT(text, HasSubstr("could not be had"));
  EXPECT_THAT(text, Not(HasSubstr("head (new)")));
}

}  // namespace
}  // namespace attune::cli
