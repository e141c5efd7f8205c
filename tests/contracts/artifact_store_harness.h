// ArtifactStoreHarness: how the contract of ArtifactStore makes and restarts a backend. Owned by each test.
#pragma once

#include "server/artifacts/artifact_store.h"
#include "tests/fakes/manual_clock.h"

namespace attune::artifacts {

class ArtifactStoreHarness {
 public:
  virtual ~ArtifactStoreHarness() = default;
  virtual ArtifactStore& store() = 0;
  // Closes the store and opens it again over what is stored. No writer is open.
  virtual void Restart() = 0;
  ManualClock& clock() { return clock_; }

 private:
  ManualClock clock_;
};

}  // namespace attune::artifacts
