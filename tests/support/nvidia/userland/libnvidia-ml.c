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

#include "driver.h"
#include "nvml.h"

#define MAX_MIGS (MAX_GPUS * 8)
#define MAX_GIS 15
#define MAX_CIS 8

struct nvmlDevice {
	unsigned int minor; /* of a MIG device: that of its GPU */
	char uuid[64];
};

static struct nvmlDevice devices[MAX_GPUS], migs[MAX_MIGS];
static unsigned int device_count, mig_count;
static char kernel_version[32];

static int read_gpu(unsigned int minor, char *uuid, size_t size)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/nvidia%u", minor);
	return driver_read_line(path, O_RDWR, uuid, size);
}

/* What the node of a capability tells; -1 if there is no such instance, or no leave to use it. */
static int read_capability(const char *access_file, char *line, size_t size)
{
	long minor = driver_number(access_file, "DeviceFileMinor");
	char path[64];

	if (minor < 0)
		return -1;
	snprintf(path, sizeof(path), "/dev/nvidia-caps/nvidia-cap%ld", minor);
	return driver_read_line(path, O_RDONLY, line, size);
}

/* A MIG device is a compute instance, and takes the nodes of both instances besides the GPU's own. */
static void find_migs(unsigned int minor)
{
	char file[128], line[64];

	for (unsigned int gi = 0; gi < MAX_GIS; gi++) {
		int length = snprintf(file, sizeof(file), "/proc/driver/nvidia/capabilities/gpu%u/mig/gi%u/", minor, gi);

		snprintf(file + length, sizeof(file) - (size_t)length, "access");
		if (read_capability(file, line, sizeof(line)))
			continue;
		for (unsigned int ci = 0; ci < MAX_CIS && mig_count < MAX_MIGS; ci++) {
			struct nvmlDevice *mig = &migs[mig_count];

			snprintf(file + length, sizeof(file) - (size_t)length, "ci%u/access", ci);
			if (read_capability(file, mig->uuid, sizeof(mig->uuid)))
				continue;
			mig->minor = minor;
			mig_count++;
		}
	}
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

	switch (driver_check(kernel_version, sizeof(kernel_version))) {
	case DRIVER_NOT_LOADED:
		return not_loaded("/dev/nvidiactl");
	case DRIVER_OF_OTHER_VERSION:
		return NVML_ERROR_LIB_RM_VERSION_MISMATCH;
	case DRIVER_MATCHES:
		break;
	}
	/* NVML itself needs no uvm, but CUDA does: a test is to see that it is there. */
	uvm = open("/dev/nvidia-uvm", O_RDWR | O_CLOEXEC);
	if (uvm < 0)
		return not_loaded("/dev/nvidia-uvm");
	close(uvm);

	device_count = mig_count = 0;
	for (unsigned int minor = 0; minor < MAX_GPUS; minor++) {
		struct nvmlDevice *device = &devices[device_count];

		if (read_gpu(minor, device->uuid, sizeof(device->uuid)))
			continue;
		device->minor = minor;
		device_count++;
		find_migs(minor);
	}
	if (device_count == 0) {
		fputs("none of /dev/nvidia0 to /dev/nvidia31 can be opened\n", stderr);
		return NVML_ERROR_DRIVER_NOT_LOADED;
	}
	return NVML_SUCCESS;
}

nvmlReturn_t nvmlShutdown(void)
{
	device_count = mig_count = 0;
	return NVML_SUCCESS;
}

const char *nvmlErrorString(nvmlReturn_t result)
{
	switch (result) {
	case NVML_SUCCESS:
		return "Success";
	case NVML_ERROR_INVALID_ARGUMENT:
		return "Invalid Argument";
	case NVML_ERROR_NOT_FOUND:
		return "Not Found";
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

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned int index, nvmlDevice_t *mig)
{
	for (unsigned int i = 0; i < mig_count; i++) {
		if (migs[i].minor != device->minor || index-- > 0)
			continue;
		*mig = &migs[i];
		return NVML_SUCCESS;
	}
	return NVML_ERROR_NOT_FOUND;
}
