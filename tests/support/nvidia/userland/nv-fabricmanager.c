// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for nv-fabricmanager -c FILE: with NVSwitches it opens their nodes and stays, and CUDA works only then.
 * From FILE it takes DAEMONIZE (1 unless 0).
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "driver.h"

#define FOLDER "/var/run/nvidia-fabricmanager"
#define DEVICES "/proc/driver/nvidia-nvswitch/devices"

static unsigned int count_switches(void)
{
	DIR *folder = opendir(DEVICES);
	unsigned int count = 0;

	for (struct dirent *entry; folder && (entry = readdir(folder)) != NULL;)
		count += entry->d_name[0] != '.';
	if (folder)
		closedir(folder);
	return count;
}

/* -1 if the file can't be read. */
static int daemonizes(const char *file)
{
	FILE *config = fopen(file, "re");
	char line[256];
	int value = 1;

	if (!config)
		return -1;
	while (fgets(line, sizeof(line), config))
		sscanf(line, "DAEMONIZE=%d", &value);
	fclose(config);
	return value != 0;
}

static int start(unsigned int switches)
{
	char version[32] = "", node[40];

	switch (driver_check(version, sizeof(version))) {
	case DRIVER_NOT_LOADED:
		daemon_log("failed to open /dev/nvidiactl: %s", strerror(errno));
		return -1;
	case DRIVER_OF_OTHER_VERSION:
		daemon_log("fabric manager NVIDIA GPU driver interface version %s don't match with driver version %s. "
			   "Please update with matching NVIDIA driver package.",
			   NVIDIA_STANDIN_VERSION, version);
		return -1;
	case DRIVER_MATCHES:
		break;
	}
	if (!switches) {
		daemon_log("request to query NVSwitch device information from NVSwitch driver failed with error:"
			   "WARNING Nothing to do [NV_WARN_NOTHING_TO_DO]");
		return -1;
	}
	if (daemon_folder(FOLDER) || daemon_pid_file(FOLDER "/nv-fabricmanager.pid") ||
	    daemon_socket(FOLDER "/socket") < 0 || driver_hold("/dev/nvidia-nvswitchctl"))
		return -1;
	for (unsigned int i = 0; i < switches; i++) {
		snprintf(node, sizeof(node), "/dev/nvidia-nvswitch%u", i);
		if (driver_hold(node))
			return -1;
	}
	daemon_log("Successfully configured all the available NVSwitches to route GPU NVLink traffic.");
	return 0;
}

int main(int argc, char **argv)
{
	int option, daemonize = 1;

	while ((option = getopt(argc, argv, "c:hv")) != -1) {
		switch (option) {
		case 'c':
			daemonize = daemonizes(optarg);
			if (daemonize < 0) {
				fprintf(stderr, "failed to open config file %s: %s\n", optarg, strerror(errno));
				return 1;
			}
			break;
		case 'v':
			puts("Fabric Manager version is : " NVIDIA_STANDIN_VERSION);
			return 0;
		default:
			fputs("usage: nv-fabricmanager [-c FILE] [-v]\n", stderr);
			return option != 'h';
		}
	}
	if (daemonize)
		daemon_begin();
	if (start(count_switches()))
		return 1;
	daemon_ready();
	daemon_wait();
	unlink(FOLDER "/socket");
	unlink(FOLDER "/nv-fabricmanager.pid");
	return 0;
}
