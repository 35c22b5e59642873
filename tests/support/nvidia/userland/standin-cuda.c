// SPDX-License-Identifier: GPL-2.0
/*
 * standin-cuda [--hold | --map]: a program that uses CUDA.
 *
 * Without an option it initialises CUDA, tells how many devices there are and ends: 0, or 1 with CUDA's error. With
 * --hold it then says "ready" and keeps the nodes open until SIGTERM. With --map it initialises nothing: it only has
 * the library mapped, says "ready", tells at each SIGUSR1 and at SIGTERM which library it runs with, and ends at
 * SIGTERM.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cuda.h"

static int failed(CUresult error)
{
	const char *name, *text;

	cuGetErrorName(error, &name);
	cuGetErrorString(error, &text);
	fprintf(stderr, "CUDA error %d: %s: %s\n", (int)error, name, text);
	return 1;
}

static void tell_library(void)
{
	int version = 0;

	cuDriverGetVersion(&version);
	printf("library %s CUDA %d.%d\n", standin_cuda_version(), version / 1000, version % 1000 / 10);
}

int main(int argc, char **argv)
{
	int hold = argc == 2 && strcmp(argv[1], "--hold") == 0;
	int map = argc == 2 && strcmp(argv[1], "--map") == 0;
	int count = 0, signal_number;
	sigset_t signals;

	if (argc != 1 && !hold && !map) {
		fprintf(stderr, "usage: standin-cuda [--hold | --map]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR1);
	if (hold || map)
		sigprocmask(SIG_BLOCK, &signals, NULL);
	tell_library();
	if (!map) {
		CUresult error = cuInit(0);

		if (error == CUDA_SUCCESS)
			error = cuDeviceGetCount(&count);
		if (error != CUDA_SUCCESS)
			return failed(error);
		printf("devices %d\n", count);
		if (!hold)
			return 0;
	}
	puts("ready");
	do {
		if (sigwait(&signals, &signal_number))
			return 1;
		tell_library();
	} while (signal_number == SIGUSR1);
	return 0;
}
