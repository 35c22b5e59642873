// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for libnvidia-ml.so: it finds what the device nodes it can open tell, and nothing else.
 * So it says what a program in a container with just these nodes would be able to use.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "nvml.h"

#define MAX_GPUS 32

struct nvmlDevice {
	unsigned int minor;
	char uuid[64];
};

static struct nvmlDevice devices[MAX_GPUS];
static unsigned int device_count;
static char kernel_version[32];

/* The device's line without its end; -1 and errno if the node can't be opened or read. */
static int read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return -1;
	got = read(fd, line, size - 1);
	close(fd);
	if (got < 0)
		return -1;
	line[got] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

static nvmlReturn_t not_loaded(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return NVML_ERROR_DRIVER_NOT_LOADED;
}

static nvmlReturn_t copy(char *to, const char *from, unsigned int length)
{
	if (strlen(from) >= length)
		return NVML_ERROR_INVALID_ARGUMENT;
	strcpy(to, from);
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlInit_v2(void)
{
	int uvm;

	if (read_line("/dev/nvidiactl", kernel_version, sizeof(kernel_version)))
		return not_loaded("/dev/nvidiactl");
	if (strcmp(kernel_version, NVIDIA_STANDIN_VERSION) != 0)
		return NVML_ERROR_LIB_RM_VERSION_MISMATCH;
	/* NVML itself needs no uvm, but CUDA does: a test is to see that it is there. */
	uvm = open("/dev/nvidia-uvm", O_RDWR | O_CLOEXEC);
	if (uvm < 0)
		return not_loaded("/dev/nvidia-uvm");
	close(uvm);

	device_count = 0;
	for (unsigned int minor = 0; minor < MAX_GPUS; minor++) {
		struct nvmlDevice *device = &devices[device_count];
		char path[32];

		snprintf(path, sizeof(path), "/dev/nvidia%u", minor);
		if (read_line(path, device->uuid, sizeof(device->uuid)))
			continue;
		device->minor = minor;
		device_count++;
	}
	if (device_count == 0) {
		fputs("none of /dev/nvidia0 to /dev/nvidia31 can be opened\n", stderr);
		return NVML_ERROR_DRIVER_NOT_LOADED;
	}
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown(void)
{
	device_count = 0;
	return NVML_SUCCESS;
}

const char *nvmlErrorString(nvmlReturn_t result)
{
	switch (result) {
	case NVML_SUCCESS:
		return "Success";
	case NVML_ERROR_INVALID_ARGUMENT:
		return "Invalid Argument";
	case NVML_ERROR_DRIVER_NOT_LOADED:
		return "Driver Not Loaded";
	case NVML_ERROR_GPU_IS_LOST:
		return "GPU is lost";
	case NVML_ERROR_LIB_RM_VERSION_MISMATCH:
		return "Driver/library version mismatch";
	}
	return "Unknown Error";
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length)
{
	return copy(version, kernel_version, length);
}

nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned int length)
{
	return copy(version, NVIDIA_STANDIN_VERSION, length);
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count)
{
	*count = device_count;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device)
{
	if (index >= device_count)
		return NVML_ERROR_INVALID_ARGUMENT;
	*device = &devices[index];
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned int *minor)
{
	*minor = device->minor;
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length)
{
	return copy(uuid, device->uuid, length);
}
