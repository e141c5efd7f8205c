// Where this process's shared libraries are, and so those that it may load later: CUDA's are loaded when a job wants a GPU.
//
//   grants.read = LibraryDirectories();   // "/usr/lib/x86_64-linux-gnu", ".../torch/lib", ...
#pragma once

#include <string>
#include <vector>

namespace attune::workers {

// Of the libraries that are loaded now, each once, sorted. LibTorch's folder stands for the folder that holds the package (.../torch/lib: two up), in which CUDA's packages are its neighbours.
std::vector<std::string> LibraryDirectories();

}  // namespace attune::workers
