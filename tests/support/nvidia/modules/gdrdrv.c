// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for gdrdrv.ko of GDRCopy: it uses nvidia and has a major number of its own. Who has its node open holds
 * this module, and so nvidia.
 */
#include "standin.h"

static struct standin_numbers numbers;

static const struct file_operations fops = {
	.owner = THIS_MODULE,
};

static int __init gdrdrv_init(void)
{
	int error = standin_check_version("gdrdrv", "nvidia", nvidia_standin_version());

	return error ? error : standin_add_numbers(&numbers, &fops, 0, 0, 1, "gdrdrv");
}

static void __exit gdrdrv_exit(void)
{
	standin_remove_numbers(&numbers);
}

module_init(gdrdrv_init);
module_exit(gdrdrv_exit);
MODULE_DESCRIPTION("Stand-in for GDRCopy's kernel module, for tests without hardware");
MODULE_LICENSE("GPL");
MODULE_VERSION(NVIDIA_STANDIN_VERSION);
