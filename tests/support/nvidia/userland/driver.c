// SPDX-License-Identifier: GPL-2.0
#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int driver_read_line(const char *path, int flags, char *line, size_t size)
{
	int fd = open(path, flags | O_CLOEXEC);
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

long driver_number(const char *path, const char *name)
{
	FILE *file = fopen(path, "re");
	size_t length = strlen(name);
	char line[256];
	long number = -1;

	while (file && number < 0 && fgets(line, sizeof(line), file))
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			number = strtol(line + length + 1, NULL, 10);
	if (file)
		fclose(file);
	return number;
}

enum driver_state driver_check(char *kernel_version, size_t size)
{
	if (driver_read_line("/dev/nvidiactl", O_RDWR, kernel_version, size))
		return DRIVER_NOT_LOADED;
	return strcmp(kernel_version, NVIDIA_STANDIN_VERSION) == 0 ? DRIVER_MATCHES : DRIVER_OF_OTHER_VERSION;
}

unsigned int driver_gpus(unsigned int minors[MAX_GPUS])
{
	unsigned int count = 0;
	glob_t files;

	if (glob("/proc/driver/nvidia/gpus/*/information", 0, NULL, &files))
		return 0;
	for (size_t i = 0; i < files.gl_pathc && count < MAX_GPUS; i++) {
		long minor = driver_number(files.gl_pathv[i], "Device Minor");

		if (minor >= 0)
			minors[count++] = (unsigned int)minor;
	}
	globfree(&files);
	return count;
}

int driver_hold(const char *node)
{
	if (open(node, O_RDWR | O_CLOEXEC) >= 0)
		return 0;
	fprintf(stderr, "%s: %s\n", node, strerror(errno));
	return -1;
}

int driver_hold_gpus(void)
{
	unsigned int minors[MAX_GPUS], count = driver_gpus(minors);
	char node[32];

	if (driver_hold("/dev/nvidiactl"))
		return -1;
	for (unsigned int i = 0; i < count; i++) {
		snprintf(node, sizeof(node), "/dev/nvidia%u", minors[i]);
		if (driver_hold(node))
			return -1;
	}
	return 0;
}
