// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for nvidia-modprobe: loads a module unless it is loaded, and makes nodes.
 *
 *   -c MINOR         /dev/nvidiaMINOR, /dev/nvidiactl for 255; can be given again
 *   -u               nvidia-uvm instead of nvidia; with -c 0 its two nodes
 *   -m               nvidia-modeset and its node, besides
 *   -s               with -c: /dev/nvidia-nvswitchMINOR, /dev/nvidia-nvswitchctl for 255
 *   -l               /dev/nvidia-nvlink
 *   -f FILE          the node of a capability; can be given again
 *   -i FIRST:COUNT   nodes of IMEX channels
 *
 * Like the real one it says nothing when it fails: it exits with 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver.h"

#define PARAMS "/proc/driver/nvidia/params"
#define NVIDIA_MAJOR 195
#define MODESET_MINOR 254
#define CTL_MINOR 255
#define MAX_REPEATED 256

struct permissions {
	unsigned int uid, gid, mode, modify;
};

static const struct permissions open_to_all = { .mode = 0666, .modify = 1 };

/* What is not told there is as if it were open to all. */
static struct permissions permissions_of(const char *file)
{
	struct permissions told = open_to_all;
	const struct {
		const char *name;
		unsigned int *value;
	} lines[] = {
		{ "DeviceFileUID", &told.uid },       { "DeviceFileGID", &told.gid },
		{ "DeviceFileMode", &told.mode },     { "ModifyDeviceFiles", &told.modify },
		{ "DeviceFileModify", &told.modify },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		long number = driver_number(file, lines[i].name);

		if (number >= 0)
			*lines[i].value = (unsigned int)number;
	}
	return told;
}

/* Of a character device, by the name that its driver registered; -1 if there is none. */
static int major_of(const char *name)
{
	FILE *devices = fopen("/proc/devices", "re");
	char line[128], found[64];
	int major, result = -1;

	while (devices && result < 0 && fgets(line, sizeof(line), devices)) {
		if (strncmp(line, "Block", 5) == 0)
			break;
		if (sscanf(line, "%d %63s", &major, found) == 2 && strcmp(found, name) == 0)
			result = major;
	}
	if (devices)
		fclose(devices);
	return result;
}

static int is_loaded(const char *module)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/module/%s/initstate", module);
	return access(path, R_OK) == 0;
}

/* 0 if it is loaded then. */
static int load(const char *module)
{
	char modprobe[256] = "";
	pid_t child;

	if (is_loaded(module))
		return 0;
	if (geteuid() != 0)
		return -1;
	if (driver_read_line("/proc/sys/kernel/modprobe", O_RDONLY, modprobe, sizeof(modprobe)) || !*modprobe)
		strcpy(modprobe, "/sbin/modprobe");
	child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_RDWR);
		char *const environment[] = { "PATH=/sbin", NULL };

		dup2(null, 1);
		dup2(null, 2);
		execle(modprobe, "modprobe", module, NULL, environment);
		_exit(127);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
	return is_loaded(module) ? 0 : -1;
}

static int link_by_number(const char *node, unsigned int major, unsigned int minor)
{
	char path[64], target[128], found[128];
	ssize_t length;

	snprintf(path, sizeof(path), "/dev/char/%u:%u", major, minor);
	snprintf(target, sizeof(target), "../%s", node + strlen("/dev/"));
	length = readlink(path, found, sizeof(found) - 1);
	if (length > 0) {
		found[length] = '\0';
		if (strcmp(found, target) == 0)
			return 0;
	}
	if (remove(path) && errno != ENOENT)
		return -1;
	return symlink(target, path);
}

static int make_node(const char *node, int major, unsigned int minor, const struct permissions *permissions)
{
	struct stat found;
	dev_t number;

	if (major < 0)
		return -1;
	number = makedev((unsigned int)major, minor);
	if (permissions->modify != 1)
		return stat(node, &found) ? -1 : link_by_number(node, (unsigned int)major, minor);
	if (stat(node, &found) || !S_ISCHR(found.st_mode) || found.st_rdev != number ||
	    (found.st_mode & 07777) != permissions->mode || found.st_uid != permissions->uid ||
	    found.st_gid != permissions->gid) {
		remove(node);
		if (mknod(node, S_IFCHR | permissions->mode, number))
			return -1;
		if (chmod(node, permissions->mode) || chown(node, permissions->uid, permissions->gid)) {
			unlink(node);
			return -1;
		}
	}
	return link_by_number(node, (unsigned int)major, minor);
}

static int make_folder(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		return -1;
	return chmod(path, 0755);
}

static int make_gpu(unsigned int minor)
{
	struct permissions permissions = permissions_of(PARAMS);
	char node[32];

	if (minor > CTL_MINOR)
		return -1;
	if (minor == CTL_MINOR)
		return make_node("/dev/nvidiactl", NVIDIA_MAJOR, minor, &permissions);
	snprintf(node, sizeof(node), "/dev/nvidia%u", minor);
	return make_node(node, NVIDIA_MAJOR, minor, &permissions);
}

static int make_modeset(void)
{
	struct permissions permissions = permissions_of(PARAMS);

	return make_node("/dev/nvidia-modeset", NVIDIA_MAJOR, MODESET_MINOR, &permissions);
}

static int make_uvm(unsigned int first)
{
	int major = major_of("nvidia-uvm");

	if (make_node("/dev/nvidia-uvm", major, first, &open_to_all))
		return -1;
	return make_node("/dev/nvidia-uvm-tools", major, first + 1, &open_to_all);
}

static int make_switch(unsigned int minor)
{
	struct permissions permissions = permissions_of("/proc/driver/nvidia-nvswitch/permissions");
	char node[40];

	if (minor > CTL_MINOR)
		return -1;
	snprintf(node, sizeof(node), "/dev/nvidia-nvswitch%u", minor);
	return make_node(minor == CTL_MINOR ? "/dev/nvidia-nvswitchctl" : node, major_of("nvidia-nvswitch"), minor,
			 &permissions);
}

static int make_nvlink(void)
{
	struct permissions permissions = permissions_of("/proc/driver/nvidia-nvlink/permissions");

	return make_node("/dev/nvidia-nvlink", major_of("nvidia-nvlink"), 0, &permissions);
}

static int make_capability(const char *file)
{
	struct permissions permissions = permissions_of(file);
	long minor = driver_number(file, "DeviceFileMinor");
	char node[64];

	if (minor < 0 || make_folder("/dev/nvidia-caps"))
		return -1;
	snprintf(node, sizeof(node), "/dev/nvidia-caps/nvidia-cap%ld", minor);
	return make_node(node, major_of("nvidia-caps"), (unsigned int)minor, &permissions);
}

static int make_channel(unsigned int channel)
{
	struct permissions permissions = permissions_of(PARAMS);
	char node[64];

	if (make_folder("/dev/nvidia-caps-imex-channels"))
		return -1;
	snprintf(node, sizeof(node), "/dev/nvidia-caps-imex-channels/channel%u", channel);
	return make_node(node, major_of("nvidia-caps-imex-channels"), channel, &permissions);
}

struct request {
	unsigned int minors[MAX_REPEATED], minor_count;
	const char *files[MAX_REPEATED];
	unsigned int file_count, first_channel, channel_count;
	int uvm, modeset, nvswitch, nvlink;
};

static int each_minor(const struct request *request, int (*make)(unsigned int minor))
{
	for (unsigned int i = 0; i < request->minor_count; i++)
		if (make(request->minors[i]))
			return -1;
	return 0;
}

static int do_main_part(const struct request *request)
{
	if (load(request->uvm && !request->nvlink && !request->nvswitch ? "nvidia_uvm" : "nvidia"))
		return -1;
	if (request->nvlink)
		return make_nvlink();
	if (request->nvswitch)
		return each_minor(request, make_switch);
	return each_minor(request, request->uvm ? make_uvm : make_gpu);
}

static int fulfil(const struct request *request)
{
	if (do_main_part(request))
		return -1;
	if (request->modeset && (load("nvidia_modeset") || make_modeset()))
		return -1;
	for (unsigned int i = 0; i < request->file_count; i++)
		if (make_capability(request->files[i]))
			return -1;
	for (unsigned int i = 0; i < request->channel_count; i++)
		if (make_channel(request->first_channel + i))
			return -1;
	return 0;
}

static const struct option options[] = {
	{ "create-nvidia-device-file", required_argument, NULL, 'c' },
	{ "unified-memory", no_argument, NULL, 'u' },
	{ "modeset", no_argument, NULL, 'm' },
	{ "nvswitch", no_argument, NULL, 's' },
	{ "nvlink", no_argument, NULL, 'l' },
	{ "nvidia-capability-device-file", required_argument, NULL, 'f' },
	{ "version", no_argument, NULL, 'v' },
	{ NULL, 0, NULL, 0 },
};

int main(int argc, char **argv)
{
	static struct request request;
	int option;

	while ((option = getopt_long(argc, argv, "c:umslf:i:v", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			if (request.minor_count == MAX_REPEATED)
				return 1;
			request.minors[request.minor_count++] = (unsigned int)strtol(optarg, NULL, 0);
			break;
		case 'u':
			request.uvm = 1;
			break;
		case 'm':
			request.modeset = 1;
			break;
		case 's':
			request.nvswitch = 1;
			break;
		case 'l':
			request.nvlink = 1;
			break;
		case 'f':
			if (request.file_count == MAX_REPEATED)
				return 1;
			request.files[request.file_count++] = optarg;
			break;
		case 'i':
			if (sscanf(optarg, "%u:%u", &request.first_channel, &request.channel_count) != 2)
				return 1;
			break;
		case 'v':
			puts("nvidia-modprobe:  version " NVIDIA_STANDIN_VERSION);
			return 0;
		default:
			return 1;
		}
	}
	return fulfil(&request) ? 1 : 0;
}
