// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/driver/nvidia/standin: changes as a running machine has them. A line is one change:
 *
 *   gpu add BUS_LOCATION MINOR | gpu remove MINOR
 *   mig enable MINOR | mig disable MINOR
 *   gi create MINOR GI [CIS] | gi destroy MINOR GI         CIS compute instances in it, 1 unless told
 *   ci create MINOR GI CI | ci destroy MINOR GI CI
 *   compute default MINOR | compute exclusive MINOR         as nvidia-smi -c does
 *
 * After each the module has a "change" event for udev. The first line that can't be done is the write's error: EBUSY
 * for a GPU that is open or still has instances, EEXIST, ENODEV for no such GPU, ENOENT for no such instance, EINVAL.
 */
#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "nvidia.h"

#define MAX_WRITE 4096

static int change_gpu(const char *line)
{
	char bus_location[16];
	unsigned int minor;

	if (sscanf(line, "gpu add %15s %u", bus_location, &minor) == 2)
		return nvidia_gpu_add(bus_location, minor);
	if (sscanf(line, "gpu remove %u", &minor) == 1)
		return nvidia_gpu_remove(minor);
	return -EINVAL;
}

static int change_instances(const char *line)
{
	char what[4], verb[8];
	unsigned int minor, gi, last;
	int words = sscanf(line, "%3s %7s %u %u %u", what, verb, &minor, &gi, &last);
	struct gpu *gpu = words >= 3 ? nvidia_gpu(minor) : NULL;

	if (words < 3)
		return -EINVAL;
	if (!gpu)
		return -ENODEV;
	if (strcmp(what, "mig") == 0 && words == 3) {
		if (strcmp(verb, "enable") == 0)
			return nvidia_mig_set(gpu, true);
		if (strcmp(verb, "disable") == 0)
			return nvidia_mig_set(gpu, false);
	}
	if (strcmp(what, "gi") == 0 && words >= 4) {
		if (strcmp(verb, "create") == 0)
			return nvidia_gi_create(gpu, gi, words == 5 ? last : 1);
		if (strcmp(verb, "destroy") == 0 && words == 4)
			return nvidia_gi_destroy(gpu, gi);
	}
	if (strcmp(what, "ci") == 0 && words == 5) {
		if (strcmp(verb, "create") == 0)
			return nvidia_ci_create(gpu, gi, last);
		if (strcmp(verb, "destroy") == 0)
			return nvidia_ci_destroy(gpu, gi, last);
	}
	return -EINVAL;
}

static int change_compute_mode(const char *line)
{
	char mode[10];
	unsigned int minor;
	struct gpu *gpu;

	if (sscanf(line, "compute %9s %u", mode, &minor) != 2)
		return -EINVAL;
	gpu = nvidia_gpu(minor);
	if (!gpu)
		return -ENODEV;
	gpu->exclusive = strcmp(mode, "exclusive") == 0;
	return gpu->exclusive || strcmp(mode, "default") == 0 ? 0 : -EINVAL;
}

static int change(const char *line)
{
	int error;

	mutex_lock(&nvidia_lock);
	if (str_has_prefix(line, "gpu "))
		error = change_gpu(line);
	else if (str_has_prefix(line, "compute "))
		error = change_compute_mode(line);
	else
		error = change_instances(line);
	mutex_unlock(&nvidia_lock);
	if (error) {
		pr_info("NVRM: stand-in: \"%s\": error %d\n", line, error);
		return error;
	}
	return kobject_uevent(&THIS_MODULE->mkobj.kobj, KOBJ_CHANGE);
}

static ssize_t control_write(struct file *file, const char __user *buffer, size_t size, loff_t *at)
{
	char *text, *rest, *line;
	int error = 0;

	if (size > MAX_WRITE)
		return -E2BIG;
	text = memdup_user_nul(buffer, size);
	if (IS_ERR(text))
		return PTR_ERR(text);
	rest = text;
	while (!error && (line = strsep(&rest, "\n")))
		if (*line)
			error = change(line);
	kfree(text);
	return error ? error : size;
}

static const struct proc_ops control_ops = {
	.proc_write = control_write,
};

int nvidia_control_init(void)
{
	return proc_create(NVIDIA_PROC "/standin", 0200, NULL, &control_ops) ? 0 : -ENOMEM;
}
