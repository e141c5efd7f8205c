// LibTorch's process-wide settings. The training thread alone.
//
//   InitializeTorch();                      // once, before anything else of torch
//   WarmUp();                               // while idle: the first step is quick then
//   ApplySettings(/*threads=*/2, "cpu");    // before each attempt
#pragma once

#include <string>

namespace attune::training {

// Call before any tensor exists.
void InitializeTorch();

// A tiny training step of every kind that encoders use: loads code, starts threads. Well under a second.
void WarmUp();

// Threads of an operator, and reproducible algorithms on `device` ("cpu", "cuda:0").
void ApplySettings(int threads, const std::string& device);

std::string LibtorchVersion();

}  // namespace attune::training
