// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for nvidia.ko without hardware: two GPUs that are nothing but their names.
 * Device numbers and the files in /proc/driver/nvidia are like those of the open kernel modules
 * 580; the GPUs' minors deliberately do not follow their PCI order.
 */
#include <linux/cdev.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "standin.h"

#define NVIDIA_PROC "driver/nvidia"
#define NVIDIA_CAPS 3

struct gpu {
	const char *bus_location;
	const char *uuid;
	unsigned int minor;
	unsigned int irq;
};

static const struct gpu gpus[] = {
	{ "0000:05:00.0", "GPU-05050505-aaaa-4bbb-8ccc-0123456789ab", 1, 41 },
	{ "0000:06:00.0", "GPU-06060606-dddd-4eee-8fff-ba9876543210", 0, 42 },
};

struct capability {
	const char *path; /* below /proc/driver/nvidia */
	unsigned int minor;
	unsigned int mode;
};

static const struct capability capabilities[NVIDIA_CAPS] = {
	{ NVIDIA_PROC "/capabilities/mig/config", 1, 0400 },
	{ NVIDIA_PROC "/capabilities/mig/monitor", 2, 0444 },
	{ NVIDIA_PROC "/capabilities/fabric-imex-mgmt", 3, 0400 },
};

/* Permission 0, as in reality: their values are to be seen in /proc/driver/nvidia/params alone. */
static unsigned int NVreg_ModifyDeviceFiles = 1;
module_param(NVreg_ModifyDeviceFiles, uint, 0);
static unsigned int NVreg_DeviceFileUID;
module_param(NVreg_DeviceFileUID, uint, 0);
static unsigned int NVreg_DeviceFileGID;
module_param(NVreg_DeviceFileGID, uint, 0);
static unsigned int NVreg_DeviceFileMode = 0666;
module_param(NVreg_DeviceFileMode, uint, 0);

static dev_t caps_region;
static struct cdev gpu_cdev, ctl_cdev, caps_cdev;

const char *nvidia_standin_version(void)
{
	return NVIDIA_STANDIN_VERSION;
}
EXPORT_SYMBOL(nvidia_standin_version);

static const struct gpu *gpu_of_minor(unsigned int minor)
{
	for (size_t i = 0; i < ARRAY_SIZE(gpus); i++)
		if (gpus[i].minor == minor)
			return &gpus[i];
	return NULL;
}

static int gpu_open(struct inode *inode, struct file *file)
{
	file->private_data = (void *)gpu_of_minor(iminor(inode));
	return file->private_data ? 0 : -ENODEV;
}

static ssize_t gpu_read(struct file *file, char __user *buffer, size_t size, loff_t *at)
{
	const struct gpu *gpu = file->private_data;
	char line[64];
	int length = scnprintf(line, sizeof(line), "%s\n", gpu->uuid);

	return simple_read_from_buffer(buffer, size, at, line, length);
}

static const struct file_operations gpu_fops = {
	.owner = THIS_MODULE,
	.open = gpu_open,
	.read = gpu_read,
};

static ssize_t ctl_read(struct file *file, char __user *buffer, size_t size, loff_t *at)
{
	static const char line[] = NVIDIA_STANDIN_VERSION "\n";

	return simple_read_from_buffer(buffer, size, at, line, sizeof(line) - 1);
}

static const struct file_operations ctl_fops = {
	.owner = THIS_MODULE,
	.read = ctl_read,
};

static const struct file_operations caps_fops = {
	.owner = THIS_MODULE,
};

static int version_show(struct seq_file *s, void *unused)
{
	seq_puts(s, "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  " NVIDIA_STANDIN_VERSION
		    "  Release Build  (stand-in@)  \n"
		    "GCC version:  gcc version " __VERSION__ "\n");
	return 0;
}

static int params_show(struct seq_file *s, void *unused)
{
	seq_printf(s,
		   "ResmanDebugLevel: 4294967295\n"
		   "RmLogonRC: 1\n"
		   "ModifyDeviceFiles: %u\n"
		   "DeviceFileUID: %u\n"
		   "DeviceFileGID: %u\n"
		   "DeviceFileMode: %u\n"
		   "InitializeSystemMemoryAllocations: 1\n"
		   "EnableMSI: 1\n"
		   "EnableStreamMemOPs: 0\n"
		   "PreserveVideoMemoryAllocations: 0\n"
		   "EnableGpuFirmware: 18\n"
		   "OpenRmEnableUnsupportedGpus: 1\n"
		   "ImexChannelCount: 2048\n"
		   "CreateImexChannel0: 0\n"
		   "CoherentGPUMemoryMode: \"\"\n"
		   "RegistryDwords: \"\"\n"
		   "RegistryDwordsPerDevice: \"\"\n"
		   "TemporaryFilePath: \"\"\n"
		   "ExcludedGpus: \"\"\n",
		   NVreg_ModifyDeviceFiles, NVreg_DeviceFileUID, NVreg_DeviceFileGID, NVreg_DeviceFileMode);
	return 0;
}

static int information_show(struct seq_file *s, void *unused)
{
	const struct gpu *gpu = s->private;

	seq_printf(s,
		   "Model: \t\t Stand-in\n"
		   "IRQ:   \t\t %u\n"
		   "GPU UUID: \t %s\n"
		   "Video BIOS: \t 96.00.a5.00.1a\n"
		   "Bus Type: \t PCIe\n"
		   "DMA Size: \t 52 bits\n"
		   "DMA Mask: \t 0xfffffffffffff\n"
		   "Bus Location: \t %s\n"
		   "Device Minor: \t %u\n"
		   "GPU Firmware: \t " NVIDIA_STANDIN_VERSION "\n"
		   "GPU Excluded:\t No\n",
		   gpu->irq, gpu->uuid, gpu->bus_location, gpu->minor);
	return 0;
}

static int capability_show(struct seq_file *s, void *unused)
{
	const struct capability *capability = s->private;

	seq_printf(s,
		   "DeviceFileMinor: %u\n"
		   "DeviceFileMode: %u\n"
		   "DeviceFileModify: 1\n",
		   capability->minor, capability->mode);
	return 0;
}

static int make_proc_files(void)
{
	static const char *const folders[] = {
		NVIDIA_PROC, NVIDIA_PROC "/gpus", NVIDIA_PROC "/capabilities", NVIDIA_PROC "/capabilities/mig",
	};
	char path[64];

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (!proc_mkdir(folders[i], NULL))
			return -ENOMEM;
	if (!proc_create_single(NVIDIA_PROC "/version", 0444, NULL, version_show) ||
	    !proc_create_single(NVIDIA_PROC "/params", 0444, NULL, params_show))
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
		if (!proc_create_single_data(capabilities[i].path, 0444, NULL, capability_show,
					     (void *)&capabilities[i]))
			return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(gpus); i++) {
		scnprintf(path, sizeof(path), NVIDIA_PROC "/gpus/%s", gpus[i].bus_location);
		if (!proc_mkdir(path, NULL))
			return -ENOMEM;
		strlcat(path, "/information", sizeof(path));
		if (!proc_create_single_data(path, 0444, NULL, information_show, (void *)&gpus[i]))
			return -ENOMEM;
	}
	return 0;
}

static int add_numbers(struct cdev *cdev, const struct file_operations *fops, dev_t first, unsigned int count,
		       const char *name)
{
	int error = register_chrdev_region(first, count, name);

	if (error)
		return error;
	cdev_init(cdev, fops);
	cdev->owner = THIS_MODULE;
	error = cdev_add(cdev, first, count);
	if (error)
		unregister_chrdev_region(first, count);
	return error;
}

static void remove_numbers(struct cdev *cdev, dev_t first, unsigned int count)
{
	cdev_del(cdev);
	unregister_chrdev_region(first, count);
}

static int __init nvidia_init(void)
{
	int error;

#ifdef NVIDIA_STANDIN_BREAK_INIT
	pr_err("NVRM: this build of the stand-in fails on purpose\n");
	return -EIO;
#endif
	error = add_numbers(&gpu_cdev, &gpu_fops, MKDEV(NVIDIA_MAJOR, 0), NVIDIA_GPU_MINORS, "nvidia");
	if (error)
		return error;
	error = add_numbers(&ctl_cdev, &ctl_fops, MKDEV(NVIDIA_MAJOR, NVIDIA_CTL_MINOR), 1, "nvidiactl");
	if (error)
		goto no_ctl;
	error = alloc_chrdev_region(&caps_region, 0, NVIDIA_CAPS + 1, "nvidia-caps");
	if (error)
		goto no_caps_numbers;
	cdev_init(&caps_cdev, &caps_fops);
	caps_cdev.owner = THIS_MODULE;
	error = cdev_add(&caps_cdev, caps_region, NVIDIA_CAPS + 1);
	if (error)
		goto no_caps;
	error = make_proc_files();
	if (error)
		goto no_proc;
	pr_info("NVRM: loading NVIDIA UNIX stand-in for x86_64  " NVIDIA_STANDIN_VERSION "\n");
	return 0;

no_proc:
	remove_proc_subtree(NVIDIA_PROC, NULL);
	cdev_del(&caps_cdev);
no_caps:
	unregister_chrdev_region(caps_region, NVIDIA_CAPS + 1);
no_caps_numbers:
	remove_numbers(&ctl_cdev, MKDEV(NVIDIA_MAJOR, NVIDIA_CTL_MINOR), 1);
no_ctl:
	remove_numbers(&gpu_cdev, MKDEV(NVIDIA_MAJOR, 0), NVIDIA_GPU_MINORS);
	return error;
}

static void __exit nvidia_exit(void)
{
	remove_proc_subtree(NVIDIA_PROC, NULL);
	remove_numbers(&caps_cdev, caps_region, NVIDIA_CAPS + 1);
	remove_numbers(&ctl_cdev, MKDEV(NVIDIA_MAJOR, NVIDIA_CTL_MINOR), 1);
	remove_numbers(&gpu_cdev, MKDEV(NVIDIA_MAJOR, 0), NVIDIA_GPU_MINORS);
}

module_init(nvidia_init);
module_exit(nvidia_exit);
MODULE_ALIAS("char-major-195-*");
MODULE_ALIAS("pci:v000010DEd*sv*sd*bc03sc02i00*");
MODULE_DESCRIPTION("Stand-in for NVIDIA's kernel module, for tests without hardware");
MODULE_LICENSE("GPL");
MODULE_VERSION(NVIDIA_STANDIN_VERSION);
