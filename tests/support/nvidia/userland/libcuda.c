// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for libcuda.so: it opens the nodes that CUDA opens and keeps them open, and fails with the numbers that
 * CUDA fails with.
 */
#include "cuda.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"

static int device_count = -1; /* not initialised */

static const struct {
	CUresult error;
	const char *name, *text;
} errors[] = {
	{ CUDA_SUCCESS, "CUDA_SUCCESS", "no error" },
	{ CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument" },
	{ CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error" },
	{ CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected" },
	{ CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal" },
	{ CUDA_ERROR_SYSTEM_NOT_READY, "CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized" },
	{ CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
	  "system has unsupported display driver / cuda driver combination" },
	{ CUDA_ERROR_UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error" },
};

/* With NVSwitch nothing works until the fabric manager runs: the second line of nvidiactl tells. */
static int waits_for_fabric(void)
{
	char text[64] = "";
	int fd = open("/dev/nvidiactl", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	return got > 0 && strstr(text, "fabric unmanaged") != NULL;
}

CUresult cuInit(unsigned int flags)
{
	char version[32], path[32];

	if (flags)
		return CUDA_ERROR_INVALID_VALUE;
	if (device_count >= 0)
		return CUDA_SUCCESS;
	switch (driver_check(version, sizeof(version))) {
	case DRIVER_NOT_LOADED:
		return CUDA_ERROR_NO_DEVICE;
	case DRIVER_OF_OTHER_VERSION:
		return CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;
	case DRIVER_MATCHES:
		break;
	}
	if (waits_for_fabric())
		return CUDA_ERROR_SYSTEM_NOT_READY;
	if (driver_hold("/dev/nvidiactl") || driver_hold("/dev/nvidia-uvm"))
		return CUDA_ERROR_UNKNOWN;
	device_count = 0;
	for (unsigned int minor = 0; minor < MAX_GPUS; minor++) {
		snprintf(path, sizeof(path), "/dev/nvidia%u", minor);
		if (open(path, O_RDWR | O_CLOEXEC) >= 0)
			device_count++;
	}
	if (device_count > 0)
		return CUDA_SUCCESS;
	device_count = -1;
	return CUDA_ERROR_NO_DEVICE;
}

CUresult cuDriverGetVersion(int *version)
{
	if (!version)
		return CUDA_ERROR_INVALID_VALUE;
	*version = 13000; /* CUDA 13.0, as 580 has it */
	return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count)
{
	if (device_count < 0)
		return CUDA_ERROR_NOT_INITIALIZED;
	*count = device_count;
	return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
	if (device_count < 0)
		return CUDA_ERROR_NOT_INITIALIZED;
	if (ordinal < 0 || ordinal >= device_count)
		return CUDA_ERROR_INVALID_DEVICE;
	*device = ordinal;
	return CUDA_SUCCESS;
}

static CUresult find_error(CUresult error, const char **name, const char **text)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (errors[i].error != error)
			continue;
		*name = errors[i].name;
		*text = errors[i].text;
		return CUDA_SUCCESS;
	}
	*name = *text = NULL;
	return CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorName(CUresult error, const char **name)
{
	const char *text;

	return find_error(error, name, &text);
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
	const char *name;

	return find_error(error, &name, text);
}

const char *standin_cuda_version(void)
{
	return NVIDIA_STANDIN_VERSION;
}
