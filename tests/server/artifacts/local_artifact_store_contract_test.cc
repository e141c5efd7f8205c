#include "tests/contracts/artifact_store_contract.h"
#include "tests/server/artifacts/local_harness.h"

namespace attune::artifacts {
namespace {

INSTANTIATE_TEST_SUITE_P(Local, ArtifactStoreContract,
                         ::testing::Values([] { return std::make_unique<LocalHarness>(); }));

}  // namespace
}  // namespace attune::artifacts
