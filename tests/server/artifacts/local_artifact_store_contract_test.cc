#include "tests/contracts/artifact_store_contract.h"
#include "tests/server/artifacts/local_harness.h"

namespace attune::artifacts {
namespace {

INSTANTIATE_TEST_SUITE_P(Local, ArtifactStoreContract,
                         ::testing::Values([] { return std::make_unique<LocalHarness>(); }));
// Small steps, so that syncs run behind nearly every append.
INSTANTIATE_TEST_SUITE_P(LocalSyncingBehind, ArtifactStoreContract,
                         ::testing::Values([] { return std::make_unique<LocalHarness>(5000, 1 << 20); }));

}  // namespace
}  // namespace attune::artifacts
