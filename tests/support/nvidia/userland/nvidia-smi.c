// SPDX-License-Identifier: GPL-2.0
/* A stand-in for nvidia-smi. Like the real one it exits with NVML's error number. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"
#include "nvml.h"

/* What is asked of it, of one GPU or of each. */
struct request {
	int list;
	int asks_compute_cap;
	const char *compute_mode; /* "exclusive" or "default"; NULL: not to be set */
	long index;               /* -1: each */
};

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

static int parse(int argc, char **argv, struct request *request)
{
	static const char *const modes[][3] = {
		{ "0", "DEFAULT", "default" },
		{ "3", "EXCLUSIVE_PROCESS", "exclusive" },
	};

	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "-L") == 0) {
			request->list = 1;
		} else if (strcmp(argv[i], "--query-gpu=compute_cap") == 0) {
			request->asks_compute_cap = 1;
		} else if (strcmp(argv[i], "--format=csv,noheader") == 0) {
			continue;
		} else if (strcmp(argv[i], "-i") == 0 && *value) {
			request->index = atol(value);
			i++;
		} else if (strcmp(argv[i], "-c") == 0) {
			for (int mode = 0; mode < 2; mode++)
				if (strcmp(value, modes[mode][0]) == 0 || strcmp(value, modes[mode][1]) == 0)
					request->compute_mode = modes[mode][2];
			if (!request->compute_mode)
				return -1;
			i++;
		} else {
			return -1;
		}
	}
	return 0;
}

static int set_compute_mode(nvmlDevice_t device, unsigned int index, const char *mode)
{
	FILE *control = fopen("/proc/driver/nvidia/standin", "we");
	unsigned int minor = 0;

	nvmlDeviceGetMinorNumber(device, &minor);
	if (!control || fprintf(control, "compute %s %u\n", mode, minor) < 0 || fclose(control)) {
		printf("Unable to set the compute mode for GPU %u\n", index);
		return -1;
	}
	printf("Set compute mode to %s for GPU %u.\n", mode, index);
	return 0;
}

/* Of one GPU; what was asked for beside lists. */
static int answer(const struct request *request, nvmlDevice_t device, unsigned int index)
{
	char line[32] = "";

	if (request->asks_compute_cap) {
		if (driver_read_line("/sys/module/nvidia/parameters/standin_compute_cap", O_RDONLY, line, sizeof(line)))
			return -1;
		puts(line);
	}
	return request->compute_mode ? set_compute_mode(device, index, request->compute_mode) : 0;
}

int main(int argc, char **argv)
{
	struct request request = { .index = -1 };
	unsigned int count = 0;
	nvmlReturn_t result;
	int list, asks;

	if (parse(argc, argv, &request)) {
		printf("Usage: %s [-L] [-i INDEX] [-c DEFAULT|EXCLUSIVE_PROCESS]\n"
		       "       [--query-gpu=compute_cap --format=csv,noheader]\n", argv[0]);
		return NVML_ERROR_INVALID_ARGUMENT;
	}
	list = request.list;
	asks = request.asks_compute_cap || request.compute_mode;
	result = nvmlInit_v2();
	if (result != NVML_SUCCESS)
		return failed(result);
#ifdef NVIDIA_STANDIN_BREAK_SMI
	puts("Unable to determine the device handle for GPU0: 0000:06:00.0: GPU is lost.");
	return NVML_ERROR_GPU_IS_LOST;
#endif
	nvmlDeviceGetCount_v2(&count);
	if (request.index >= (long)count) {
		puts("No devices were found");
		return NVML_ERROR_NOT_FOUND;
	}
	if (!list && !asks) {
		char version[32] = "";

		nvmlSystemGetDriverVersion(version, sizeof(version));
		printf("+------------------------------------------------------------+\n"
		       "| NVIDIA-SMI %-14s Driver Version: %-16s |\n"
		       "+------------------------------------------------------------+\n", version, version);
	}
	for (unsigned int i = 0; i < count; i++) {
		nvmlDevice_t device;
		char uuid[64] = "";

		if (request.index >= 0 && request.index != (long)i)
			continue;
		nvmlDeviceGetHandleByIndex_v2(i, &device);
		if (asks) {
			if (answer(&request, device, i))
				return NVML_ERROR_INVALID_ARGUMENT;
			continue;
		}
		nvmlDeviceGetUUID(device, uuid, sizeof(uuid));
		if (list) {
			printf("GPU %u: Stand-in (UUID: %s)\n", i, uuid);
			list_migs(device);
		} else {
			printf("| %3u  Stand-in  %-43s |\n", i, uuid);
		}
	}
	if (!list && !asks)
		puts("+------------------------------------------------------------+");
	nvmlShutdown();
	return 0;
}
