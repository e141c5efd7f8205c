// A stand-in for libnvidia-ml.so.1: two GPUs, of which the second tells no power; a third is lost.
extern "C" {

static long devices[3];

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 3;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index == 2) return 15;  // NVML_ERROR_GPU_IS_LOST
  *device = &devices[index];
  return 0;
}
int nvmlDeviceGetName(void*, char* name, unsigned length) {
  const char text[] = "Fake H200";
  for (unsigned i = 0; i < sizeof(text) && i < length; ++i) name[i] = text[i];
  return 0;
}
int nvmlDeviceGetUtilizationRates(void*, unsigned* rates) {
  rates[0] = 75;
  rates[1] = 10;
  return 0;
}
int nvmlDeviceGetMemoryInfo(void* device, unsigned long long* memory) {
  memory[0] = 1000;
  memory[2] = device == &devices[0] ? 400 : 500;
  memory[1] = memory[0] - memory[2];
  return 0;
}
int nvmlDeviceGetTemperature(void*, unsigned, unsigned* celsius) {
  *celsius = 61;
  return 0;
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  if (device != &devices[0]) return 3;  // NVML_ERROR_NOT_SUPPORTED
  *milliwatts = 250500;
  return 0;
}
}
