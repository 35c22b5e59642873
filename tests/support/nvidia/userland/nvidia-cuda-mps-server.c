// SPDX-License-Identifier: GPL-2.0
/* A stand-in for nvidia-cuda-mps-server, which nvidia-cuda-mps-control starts: it has CUDA set up until SIGTERM. */
#include <stdio.h>

#include "cuda.h"
#include "daemon.h"

int main(void)
{
	CUresult error = cuInit(0);

	if (error != CUDA_SUCCESS) {
		daemon_log("MPS server: CUDA error %d", (int)error);
		return 1;
	}
	daemon_wait();
	return 0;
}
