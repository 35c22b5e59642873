// SPDX-License-Identifier: GPL-2.0
/* A stand-in for nvidia-modeset.ko: one number among nvidia's own. */
#include "standin.h"

static struct standin_numbers numbers;

static const struct file_operations fops = {
	.owner = THIS_MODULE,
};

const char *nvidia_modeset_standin_version(void)
{
	return NVIDIA_STANDIN_VERSION;
}
EXPORT_SYMBOL(nvidia_modeset_standin_version);

static int __init modeset_init(void)
{
	int error = standin_check_version("nvidia-modeset", "nvidia", nvidia_standin_version());

	if (error)
		return error;
	return standin_add_numbers(&numbers, &fops, NVIDIA_MAJOR, NVIDIA_MODESET_MINOR, 1, "nvidia-modeset");
}

static void __exit modeset_exit(void)
{
	standin_remove_numbers(&numbers);
}

module_init(modeset_init);
module_exit(modeset_exit);
MODULE_DESCRIPTION("Stand-in for NVIDIA's mode setting module, for tests without hardware");
MODULE_LICENSE("GPL");
MODULE_VERSION(NVIDIA_STANDIN_VERSION);
