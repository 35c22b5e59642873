// SPDX-License-Identifier: GPL-2.0
/* A stand-in for nvidia-smi. Like the real one it exits with NVML's error number. */
#include <stdio.h>
#include <string.h>

#include "nvml.h"

static int failed(nvmlReturn_t result)
{
	char version[32] = "unknown";

	if (result == NVML_ERROR_DRIVER_NOT_LOADED) {
		puts("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
		     "Make sure that the latest NVIDIA driver is installed and running.");
	} else {
		nvmlSystemGetNVMLVersion(version, sizeof(version));
		printf("Failed to initialize NVML: %s\nNVML library version: %s\n", nvmlErrorString(result), version);
	}
	return result;
}

/* The MIG devices of a GPU, below it. */
static void list_migs(nvmlDevice_t gpu)
{
	nvmlDevice_t mig;

	for (unsigned int i = 0; nvmlDeviceGetMigDeviceHandleByIndex(gpu, i, &mig) == NVML_SUCCESS; i++) {
		char uuid[64] = "";

		nvmlDeviceGetUUID(mig, uuid, sizeof(uuid));
		printf("  MIG 1g.18gb     Device %2u: (UUID: %s)\n", i, uuid);
	}
}

int main(int argc, char **argv)
{
	int list = argc == 2 && strcmp(argv[1], "-L") == 0;
	unsigned int count = 0;
	nvmlReturn_t result;

	if (argc != 1 && !list) {
		printf("Usage: %s [-L]\n", argv[0]);
		return NVML_ERROR_INVALID_ARGUMENT;
	}
	result = nvmlInit_v2();
	if (result != NVML_SUCCESS)
		return failed(result);
#ifdef NVIDIA_STANDIN_BREAK_SMI
	puts("Unable to determine the device handle for GPU0: 0000:06:00.0: GPU is lost.");
	return NVML_ERROR_GPU_IS_LOST;
#endif
	nvmlDeviceGetCount_v2(&count);
	if (!list) {
		char version[32] = "";

		nvmlSystemGetDriverVersion(version, sizeof(version));
		printf("+------------------------------------------------------------+\n"
		       "| NVIDIA-SMI %-14s Driver Version: %-16s |\n"
		       "+------------------------------------------------------------+\n", version, version);
	}
	for (unsigned int i = 0; i < count; i++) {
		nvmlDevice_t device;
		char uuid[64] = "";

		nvmlDeviceGetHandleByIndex_v2(i, &device);
		nvmlDeviceGetUUID(device, uuid, sizeof(uuid));
		if (list) {
			printf("GPU %u: Stand-in (UUID: %s)\n", i, uuid);
			list_migs(device);
		} else {
			printf("| %3u  Stand-in  %-43s |\n", i, uuid);
		}
	}
	if (!list)
		puts("+------------------------------------------------------------+");
	nvmlShutdown();
	return 0;
}
