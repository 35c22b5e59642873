// SPDX-License-Identifier: GPL-2.0
/*
 * Capabilities of the stand-in: who may open a node in /dev/nvidia-caps may do what it is for. Their minors follow from
 * the GPU's minor and the numbers of the instances; their files in /proc are there only as long as the instances are.
 */
#include <linux/bits.h>
#include <linux/seq_file.h>

#include "nvidia.h"

#define CAPS_PROC "driver/nvidia-caps"

enum {
	CAP_FABRIC_MGMT = 0,
	CAP_MIG_CONFIG = 1,
	CAP_MIG_MONITOR = 2,
	CAP_FIRST_GI = 3,
	CAPS_OF_GI = 1 + NVIDIA_MAX_CIS,
	CAP_FABRIC_IMEX_MGMT = CAP_FIRST_GI + NVIDIA_MAX_GPUS * NVIDIA_MAX_GIS * CAPS_OF_GI,
	CAPS,
};

static struct standin_numbers caps_numbers;

static unsigned int gi_minor(unsigned int gpu, unsigned int gi)
{
	return CAP_FIRST_GI + (gpu * NVIDIA_MAX_GIS + gi) * CAPS_OF_GI;
}

static unsigned int ci_minor(unsigned int gpu, unsigned int gi, unsigned int ci)
{
	return gi_minor(gpu, gi) + 1 + ci;
}

/* What a capability of an instance lets one find: the instance's name. Empty for the others. */
static int instance_name(unsigned int minor, char *line, size_t size)
{
	unsigned int number = minor - CAP_FIRST_GI, instance = number / CAPS_OF_GI, part = number % CAPS_OF_GI;
	unsigned int gi = instance % NVIDIA_MAX_GIS;
	const struct gpu *gpu;

	*line = '\0';
	if (minor < CAP_FIRST_GI || minor >= CAP_FABRIC_IMEX_MGMT)
		return 0;
	gpu = nvidia_gpu(instance / NVIDIA_MAX_GIS);
	if (!gpu || !(gpu->gis & BIT(gi)))
		return -ENODEV;
	if (part == 0)
		scnprintf(line, size, "gpu%u/gi%u\n", gpu->minor, gi);
	else if (gpu->cis[gi] & BIT(part - 1))
		scnprintf(line, size, "MIG-%.8s-%04x-5%03x-8333-0123456789ab\n", gpu->uuid + 4, gi, part - 1);
	else
		return -ENODEV;
	return 0;
}

static int caps_open(struct inode *inode, struct file *file)
{
	char line[64];
	int error;

	mutex_lock(&nvidia_lock);
	error = instance_name(iminor(inode), line, sizeof(line));
	mutex_unlock(&nvidia_lock);
	return error;
}

static ssize_t caps_read(struct file *file, char __user *buffer, size_t size, loff_t *at)
{
	char line[64];
	int error;

	mutex_lock(&nvidia_lock);
	error = instance_name(iminor(file_inode(file)), line, sizeof(line));
	mutex_unlock(&nvidia_lock);
	return error ? error : simple_read_from_buffer(buffer, size, at, line, strlen(line));
}

static const struct file_operations caps_fops = {
	.owner = THIS_MODULE,
	.open = caps_open,
	.read = caps_read,
};

/* The file's data is its minor and its mode in one number: nothing to free. */
static int capability_show(struct seq_file *s, void *unused)
{
	unsigned long packed = (unsigned long)s->private;

	seq_printf(s,
		   "DeviceFileMinor: %lu\n"
		   "DeviceFileMode: %lu\n"
		   "DeviceFileModify: 1\n",
		   packed & 0xffff, packed >> 16);
	return 0;
}

int nvidia_capability_file(const char *path, unsigned int minor, umode_t mode)
{
	void *packed = (void *)((unsigned long)mode << 16 | minor);

	return proc_create_single_data(path, 0444, NULL, capability_show, packed) ? 0 : -ENOMEM;
}

static int mig_minors_show(struct seq_file *s, void *unused)
{
	seq_printf(s, "config %u\nmonitor %u\n", CAP_MIG_CONFIG, CAP_MIG_MONITOR);
	for (unsigned int gpu = 0; gpu < NVIDIA_MAX_GPUS; gpu++) {
		for (unsigned int gi = 0; gi < NVIDIA_MAX_GIS; gi++) {
			seq_printf(s, "gpu%u/gi%u/access %u\n", gpu, gi, gi_minor(gpu, gi));
			for (unsigned int ci = 0; ci < NVIDIA_MAX_CIS; ci++)
				seq_printf(s, "gpu%u/gi%u/ci%u/access %u\n", gpu, gi, ci, ci_minor(gpu, gi, ci));
		}
	}
	return 0;
}

static int nvlink_minors_show(struct seq_file *s, void *unused)
{
	seq_printf(s, "fabric-mgmt %u\n", CAP_FABRIC_MGMT);
	return 0;
}

static int sys_minors_show(struct seq_file *s, void *unused)
{
	seq_printf(s, "fabric-imex-mgmt %u\n", CAP_FABRIC_IMEX_MGMT);
	return 0;
}

int nvidia_caps_init(void)
{
	int error = standin_add_numbers(&caps_numbers, &caps_fops, 0, 0, CAPS, "nvidia-caps");

	if (error)
		return error;
	if (!proc_mkdir(CAPS_PROC, NULL) ||
	    !proc_create_single(CAPS_PROC "/mig-minors", 0444, NULL, mig_minors_show) ||
	    !proc_create_single(CAPS_PROC "/nvlink-minors", 0444, NULL, nvlink_minors_show) ||
	    !proc_create_single(CAPS_PROC "/sys-minors", 0444, NULL, sys_minors_show) ||
	    !proc_mkdir(NVIDIA_CAPABILITIES, NULL) || !proc_mkdir(NVIDIA_CAPABILITIES "/mig", NULL))
		return -ENOMEM;
	error = nvidia_capability_file(NVIDIA_CAPABILITIES "/mig/config", CAP_MIG_CONFIG, 0400);
	if (!error)
		error = nvidia_capability_file(NVIDIA_CAPABILITIES "/mig/monitor", CAP_MIG_MONITOR, 0444);
	if (!error)
		error = nvidia_capability_file(NVIDIA_CAPABILITIES "/fabric-imex-mgmt", CAP_FABRIC_IMEX_MGMT, 0400);
	return error;
}

void nvidia_caps_exit(void)
{
	remove_proc_subtree(CAPS_PROC, NULL);
	standin_remove_numbers(&caps_numbers);
}

/* The folder is there for each GPU, in MIG mode or not. */
int nvidia_caps_add_gpu(struct gpu *gpu)
{
	char path[64];

	scnprintf(path, sizeof(path), NVIDIA_CAPABILITIES "/gpu%u", gpu->minor);
	if (!proc_mkdir(path, NULL))
		return -ENOMEM;
	strlcat(path, "/mig", sizeof(path));
	return proc_mkdir(path, NULL) ? 0 : -ENOMEM;
}

void nvidia_caps_remove_gpu(struct gpu *gpu)
{
	char path[64];

	scnprintf(path, sizeof(path), NVIDIA_CAPABILITIES "/gpu%u", gpu->minor);
	remove_proc_subtree(path, NULL);
	gpu->mig = false;
	gpu->gis = 0;
}

int nvidia_mig_set(struct gpu *gpu, bool on)
{
	if (on == gpu->mig)
		return on ? -EEXIST : -ENOENT;
	if (!on && gpu->gis)
		return -EBUSY;
	gpu->mig = on;
	return 0;
}

static void gi_path(const struct gpu *gpu, unsigned int gi, char *path, size_t size)
{
	scnprintf(path, size, NVIDIA_CAPABILITIES "/gpu%u/mig/gi%u", gpu->minor, gi);
}

int nvidia_gi_create(struct gpu *gpu, unsigned int gi, unsigned int cis)
{
	char path[80];
	int error;

	if (!gpu->mig || gi >= NVIDIA_MAX_GIS || cis > NVIDIA_MAX_CIS)
		return -EINVAL;
	if (gpu->gis & BIT(gi))
		return -EEXIST;
	gi_path(gpu, gi, path, sizeof(path));
	if (!proc_mkdir(path, NULL))
		return -ENOMEM;
	gpu->gis |= BIT(gi);
	gpu->cis[gi] = 0;
	strlcat(path, "/access", sizeof(path));
	error = nvidia_capability_file(path, gi_minor(gpu->minor, gi), 0444);
	for (unsigned int ci = 0; !error && ci < cis; ci++)
		error = nvidia_ci_create(gpu, gi, ci);
	if (error)
		nvidia_gi_destroy(gpu, gi);
	return error;
}

int nvidia_gi_destroy(struct gpu *gpu, unsigned int gi)
{
	char path[80];

	if (gi >= NVIDIA_MAX_GIS || !(gpu->gis & BIT(gi)))
		return -ENOENT;
	gi_path(gpu, gi, path, sizeof(path));
	remove_proc_subtree(path, NULL);
	gpu->gis &= ~BIT(gi);
	return 0;
}

int nvidia_ci_create(struct gpu *gpu, unsigned int gi, unsigned int ci)
{
	char path[80];
	size_t length;

	if (gi >= NVIDIA_MAX_GIS || ci >= NVIDIA_MAX_CIS || !(gpu->gis & BIT(gi)))
		return -EINVAL;
	if (gpu->cis[gi] & BIT(ci))
		return -EEXIST;
	gi_path(gpu, gi, path, sizeof(path));
	length = strlen(path);
	scnprintf(path + length, sizeof(path) - length, "/ci%u", ci);
	if (!proc_mkdir(path, NULL))
		return -ENOMEM;
	gpu->cis[gi] |= BIT(ci);
	strlcat(path, "/access", sizeof(path));
	return nvidia_capability_file(path, ci_minor(gpu->minor, gi, ci), 0444);
}

int nvidia_ci_destroy(struct gpu *gpu, unsigned int gi, unsigned int ci)
{
	char path[80];
	size_t length;

	if (gi >= NVIDIA_MAX_GIS || ci >= NVIDIA_MAX_CIS || !(gpu->gis & BIT(gi)) || !(gpu->cis[gi] & BIT(ci)))
		return -ENOENT;
	gi_path(gpu, gi, path, sizeof(path));
	length = strlen(path);
	scnprintf(path + length, sizeof(path) - length, "/ci%u", ci);
	remove_proc_subtree(path, NULL);
	gpu->cis[gi] &= ~BIT(ci);
	return 0;
}
