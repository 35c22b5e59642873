// SPDX-License-Identifier: GPL-2.0
/* GPUs of the stand-in: /dev/nvidiaN, /dev/nvidiactl and /proc/driver/nvidia/gpus. */
#include <linux/device.h>
#include <linux/firmware.h>
#include <linux/kernel.h>
#include <linux/seq_file.h>

#include "nvidia.h"

static unsigned int standin_gpus = 2;
module_param(standin_gpus, uint, 0444);
MODULE_PARM_DESC(standin_gpus, "how many GPUs there are when the module is loaded, 0 to 32");

static unsigned int standin_mig[NVIDIA_MAX_GPUS], mig_count;
module_param_array(standin_mig, uint, &mig_count, 0444);
MODULE_PARM_DESC(standin_mig, "minors of the GPUs that are in MIG mode when the module is loaded");
static unsigned int standin_gis = 7;
module_param(standin_gis, uint, 0444);
MODULE_PARM_DESC(standin_gis, "how many GPU instances each of them has");
static unsigned int standin_cis = 1;
module_param(standin_cis, uint, 0444);
MODULE_PARM_DESC(standin_cis, "how many compute instances each GPU instance has");

/*
 * Minors in the order of PCI addresses: of each eight, those that are too large left out. No GPU's minor tells its
 * place.
 */
static const unsigned int minors_of_eight[8] = { 1, 0, 6, 7, 3, 2, 5, 4 };
#define FIRST_BUS 5

static struct gpu gpus[NVIDIA_MAX_GPUS]; /* by minor */
static struct standin_numbers gpu_numbers, ctl_numbers;

struct gpu *nvidia_gpu(unsigned int minor)
{
	return minor < NVIDIA_MAX_GPUS && gpus[minor].present ? &gpus[minor] : NULL;
}

/* The driver asks for it when a GPU is first used, not when it is loaded. */
static int load_firmware(void)
{
	static const char name[] = "nvidia/" NVIDIA_STANDIN_VERSION "/gsp_ga10x.bin";
	const struct firmware *firmware;
	struct device *device;
	int error;

	if (!nvidia_wants_firmware)
		return 0;
	device = root_device_register("nvidia-standin");
	if (IS_ERR(device))
		return PTR_ERR(device);
	error = request_firmware_direct(&firmware, name, device);
	root_device_unregister(device);
	if (error) {
		pr_err("NVRM: RmFetchGspRmImages: No firmware image found: %s\n", name);
		return -EIO;
	}
	release_firmware(firmware);
	return 0;
}

static int gpu_open(struct inode *inode, struct file *file)
{
	struct gpu *gpu;
	int error;

	mutex_lock(&nvidia_lock);
	gpu = nvidia_gpu(iminor(inode));
	error = gpu ? load_firmware() : -ENODEV;
	if (!error) {
		gpu->users++;
		file->private_data = gpu;
	}
	mutex_unlock(&nvidia_lock);
	return error;
}

static int gpu_release(struct inode *inode, struct file *file)
{
	struct gpu *gpu = file->private_data;

	mutex_lock(&nvidia_lock);
	gpu->users--;
	mutex_unlock(&nvidia_lock);
	return 0;
}

static ssize_t gpu_read(struct file *file, char __user *buffer, size_t size, loff_t *at)
{
	const struct gpu *gpu = file->private_data; /* which stays as long as it is open */
	char line[64];
	int length = scnprintf(line, sizeof(line), "%s\n", gpu->uuid);

	return simple_read_from_buffer(buffer, size, at, line, length);
}

static const struct file_operations gpu_fops = {
	.owner = THIS_MODULE,
	.open = gpu_open,
	.release = gpu_release,
	.read = gpu_read,
};

static ssize_t ctl_read(struct file *file, char __user *buffer, size_t size, loff_t *at)
{
	static const char *const fabrics[] = { "none", "unmanaged", "managed" };
	char text[64];
	int length = scnprintf(text, sizeof(text), NVIDIA_STANDIN_VERSION "\nfabric %s\n", fabrics[nvidia_fabric()]);

	return simple_read_from_buffer(buffer, size, at, text, length);
}

static const struct file_operations ctl_fops = {
	.owner = THIS_MODULE,
	.read = ctl_read,
};

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
		   "GPU Excluded:\t No\n"
		   "Compute Mode: \t %s\n", /* of the stand-in's own */
		   36 + gpu->bus, gpu->uuid, gpu->bus_location, gpu->minor, gpu->exclusive ? "Exclusive" : "Default");
	return 0;
}

static int make_proc_files(struct gpu *gpu)
{
	char path[64];

	scnprintf(path, sizeof(path), NVIDIA_PROC "/gpus/%s", gpu->bus_location);
	if (!proc_mkdir(path, NULL))
		return -ENOMEM;
	strlcat(path, "/information", sizeof(path));
	if (!proc_create_single_data(path, 0444, NULL, information_show, gpu))
		return -ENOMEM;
	return nvidia_caps_add_gpu(gpu);
}

static void remove_proc_files(struct gpu *gpu)
{
	char path[64];

	nvidia_caps_remove_gpu(gpu);
	scnprintf(path, sizeof(path), NVIDIA_PROC "/gpus/%s", gpu->bus_location);
	remove_proc_subtree(path, NULL);
}

static void name_uuid(struct gpu *gpu, unsigned int domain, unsigned int slot)
{
	unsigned int bus = gpu->bus;
	const char *rest = NULL;

	if (domain == 0 && slot == 0 && bus == 5)
		rest = "aaaa-4bbb-8ccc-0123456789ab";
	if (domain == 0 && slot == 0 && bus == 6)
		rest = "dddd-4eee-8fff-ba9876543210";
	if (rest)
		scnprintf(gpu->uuid, sizeof(gpu->uuid), "GPU-%02x%02x%02x%02x-%s", bus, bus, bus, bus, rest);
	else
		scnprintf(gpu->uuid, sizeof(gpu->uuid), "GPU-%02x%02x%02x%02x-1111-4222-8333-%08x%04x", bus, bus, bus,
			  bus, domain, slot);
}

int nvidia_gpu_add(const char *bus_location, unsigned int minor)
{
	unsigned int domain, bus, slot;
	struct gpu *gpu;
	int end = 0, error;

	if (sscanf(bus_location, "%4x:%2x:%2x.0%n", &domain, &bus, &slot, &end) != 3 || end != 12 || bus_location[end])
		return -EINVAL;
	if (minor >= NVIDIA_MAX_GPUS)
		return -EINVAL;
	gpu = &gpus[minor];
	if (gpu->present)
		return -EEXIST;
	for (size_t i = 0; i < NVIDIA_MAX_GPUS; i++)
		if (gpus[i].present && strcmp(gpus[i].bus_location, bus_location) == 0)
			return -EEXIST;
	memset(gpu, 0, sizeof(*gpu));
	strscpy(gpu->bus_location, bus_location, sizeof(gpu->bus_location));
	gpu->bus = bus;
	gpu->minor = minor;
	name_uuid(gpu, domain, slot);
	error = make_proc_files(gpu);
	if (error)
		remove_proc_files(gpu);
	else
		gpu->present = true;
	return error;
}

int nvidia_gpu_remove(unsigned int minor)
{
	struct gpu *gpu = nvidia_gpu(minor);

	if (!gpu)
		return -ENODEV;
	if (gpu->users)
		return -EBUSY;
	remove_proc_files(gpu);
	gpu->present = false;
	return 0;
}

static int add_gpus(void)
{
	char bus_location[16];
	unsigned int bus = FIRST_BUS;
	int error;

	for (unsigned int i = 0; i < NVIDIA_MAX_GPUS; i++) {
		unsigned int minor = i / 8 * 8 + minors_of_eight[i % 8];

		if (minor >= standin_gpus)
			continue;
		scnprintf(bus_location, sizeof(bus_location), "0000:%02x:00.0", bus++);
		error = nvidia_gpu_add(bus_location, minor);
		if (error)
			return error;
	}
	return 0;
}

/* Where instances of this size start, as on an A100: 0 is the whole GPU, 1 and 2 its halves, 7 to 13 its sevenths. */
static unsigned int first_gi(void)
{
	if (standin_gis == 1 || standin_gis > 8)
		return 0;
	return standin_gis == 2 ? 1 : standin_gis <= 4 ? 3 : 7;
}

static int add_mig_devices(void)
{
	for (unsigned int i = 0; i < mig_count; i++) {
		struct gpu *gpu = nvidia_gpu(standin_mig[i]);
		int error = gpu ? nvidia_mig_set(gpu, true) : -EINVAL;

		for (unsigned int gi = 0; !error && gi < standin_gis; gi++)
			error = nvidia_gi_create(gpu, first_gi() + gi, standin_cis);
		if (error)
			return error;
	}
	return 0;
}

int nvidia_gpus_init(void)
{
	int error;

	if (standin_gpus > NVIDIA_MAX_GPUS || standin_gis > NVIDIA_MAX_GIS || standin_cis > NVIDIA_MAX_CIS)
		return -EINVAL;
	error = standin_add_numbers(&gpu_numbers, &gpu_fops, NVIDIA_MAJOR, 0, NVIDIA_GPU_MINORS, "nvidia");
	if (error)
		return error;
	error = standin_add_numbers(&ctl_numbers, &ctl_fops, NVIDIA_MAJOR, NVIDIA_CTL_MINOR, 1, "nvidiactl");
	if (error)
		return error;
	if (!proc_mkdir(NVIDIA_PROC "/gpus", NULL))
		return -ENOMEM;
	mutex_lock(&nvidia_lock);
	error = add_gpus();
	if (!error)
		error = add_mig_devices();
	mutex_unlock(&nvidia_lock);
	return error;
}

void nvidia_gpus_exit(void)
{
	standin_remove_numbers(&ctl_numbers);
	standin_remove_numbers(&gpu_numbers);
}
