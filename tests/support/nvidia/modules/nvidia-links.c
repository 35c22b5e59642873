// SPDX-License-Identifier: GPL-2.0
/* NVLink, NVSwitch and IMEX channels of the stand-in. The first two have their numbers on every machine. */
#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/seq_file.h>

#include "nvidia.h"

#define NVLINK_PROC "driver/nvidia-nvlink"
#define NVSWITCH_PROC "driver/nvidia-nvswitch"
#define SWITCH_MINORS 256
#define SWITCH_CTL_MINOR 255
#define MAX_SWITCHES 32
#define FIRST_SWITCH_BUS 0x80
#define IMEX "nvidia-caps-imex-channels"

static unsigned int standin_nvswitches;
module_param(standin_nvswitches, uint, 0444);
MODULE_PARM_DESC(standin_nvswitches, "how many NVSwitches there are, 0 to 32");

static struct standin_numbers imex_numbers, nvlink_numbers, nvswitch_numbers;
static struct class *imex_class;
static atomic_t managers = ATOMIC_INIT(0); /* open files of nvidia-nvswitchctl */

static const struct file_operations nothing_fops = {
	.owner = THIS_MODULE,
};

static int nvswitch_open(struct inode *inode, struct file *file)
{
	if (iminor(inode) == SWITCH_CTL_MINOR)
		atomic_inc(&managers);
	else if (iminor(inode) >= standin_nvswitches)
		return -ENODEV;
	return 0;
}

static int nvswitch_release(struct inode *inode, struct file *file)
{
	if (iminor(inode) == SWITCH_CTL_MINOR)
		atomic_dec(&managers);
	return 0;
}

static const struct file_operations nvswitch_fops = {
	.owner = THIS_MODULE,
	.open = nvswitch_open,
	.release = nvswitch_release,
};

enum nvidia_fabric nvidia_fabric(void)
{
	if (!standin_nvswitches)
		return FABRIC_NONE;
	return atomic_read(&managers) ? FABRIC_MANAGED : FABRIC_UNMANAGED;
}

static char *imex_node(const struct device *device, umode_t *mode)
{
	if (mode)
		*mode = 0666;
	return kasprintf(GFP_KERNEL, IMEX "/%s", dev_name(device));
}

/* The one node that the kernel makes by itself, if asked. */
static int make_channel0(void)
{
	struct device *device;

	imex_class = class_create(IMEX);
	if (IS_ERR(imex_class)) {
		int error = PTR_ERR(imex_class);

		imex_class = NULL;
		return error;
	}
	imex_class->devnode = imex_node;
	device = device_create(imex_class, NULL, imex_numbers.first, NULL, "channel0");
	return PTR_ERR_OR_ZERO(device);
}

static int permissions_show(struct seq_file *s, void *unused)
{
	seq_puts(s, "DeviceFileMode: 438\n");
	return 0;
}

static int switch_show(struct seq_file *s, void *unused)
{
	seq_puts(s, "BIOS Version: 96.10.5d.00.01\n");
	return 0;
}

static int make_proc_files(void)
{
	char path[80];

	if (!proc_mkdir(NVLINK_PROC, NULL) ||
	    !proc_create_single(NVLINK_PROC "/permissions", 0444, NULL, permissions_show) ||
	    !proc_mkdir(NVLINK_PROC "/capabilities", NULL) ||
	    nvidia_capability_file(NVLINK_PROC "/capabilities/fabric-mgmt", 0, 0400))
		return -ENOMEM;
	if (!proc_mkdir(NVSWITCH_PROC, NULL) ||
	    !proc_create_single(NVSWITCH_PROC "/permissions", 0444, NULL, permissions_show) ||
	    !proc_mkdir(NVSWITCH_PROC "/devices", NULL))
		return -ENOMEM;
	for (unsigned int i = 0; i < standin_nvswitches; i++) {
		scnprintf(path, sizeof(path), NVSWITCH_PROC "/devices/0000:%02x:00.0", FIRST_SWITCH_BUS + i);
		if (!proc_mkdir(path, NULL))
			return -ENOMEM;
		strlcat(path, "/information", sizeof(path));
		if (!proc_create_single(path, 0444, NULL, switch_show))
			return -ENOMEM;
	}
	return 0;
}

int nvidia_imex_init(void)
{
	int error;

	if (!nvidia_imex_channels)
		return 0;
	error = standin_add_numbers(&imex_numbers, &nothing_fops, 0, 0, nvidia_imex_channels, IMEX);
	if (!error && nvidia_create_imex_channel0 == 1)
		error = make_channel0();
	return error;
}

void nvidia_imex_exit(void)
{
	if (imex_class) {
		device_destroy(imex_class, imex_numbers.first);
		class_destroy(imex_class);
		imex_class = NULL;
	}
	standin_remove_numbers(&imex_numbers);
}

int nvidia_links_init(void)
{
	int error;

	if (standin_nvswitches > MAX_SWITCHES)
		return -EINVAL;
	error = standin_add_numbers(&nvlink_numbers, &nothing_fops, 0, 0, 1, "nvidia-nvlink");
	if (!error)
		error = standin_add_numbers(&nvswitch_numbers, &nvswitch_fops, 0, 0, SWITCH_MINORS, "nvidia-nvswitch");
	return error ? error : make_proc_files();
}

void nvidia_links_exit(void)
{
	remove_proc_subtree(NVSWITCH_PROC, NULL);
	remove_proc_subtree(NVLINK_PROC, NULL);
	standin_remove_numbers(&nvswitch_numbers);
	standin_remove_numbers(&nvlink_numbers);
}
