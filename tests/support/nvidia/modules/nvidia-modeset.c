// SPDX-License-Identifier: GPL-2.0
/* A stand-in for nvidia-modeset.ko: one number among nvidia's own. */
#include <linux/cdev.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/string.h>

#include "standin.h"

static struct cdev cdev;

static const struct file_operations fops = {
	.owner = THIS_MODULE,
};

static int __init modeset_init(void)
{
	int error;

	if (strcmp(nvidia_standin_version(), NVIDIA_STANDIN_VERSION) != 0) {
		pr_err("nvidia-modeset: version " NVIDIA_STANDIN_VERSION " beside nvidia %s\n",
		       nvidia_standin_version());
		return -EINVAL;
	}
	error = register_chrdev_region(MKDEV(NVIDIA_MAJOR, NVIDIA_MODESET_MINOR), 1, "nvidia-modeset");
	if (error)
		return error;
	cdev_init(&cdev, &fops);
	cdev.owner = THIS_MODULE;
	error = cdev_add(&cdev, MKDEV(NVIDIA_MAJOR, NVIDIA_MODESET_MINOR), 1);
	if (error)
		unregister_chrdev_region(MKDEV(NVIDIA_MAJOR, NVIDIA_MODESET_MINOR), 1);
	return error;
}

static void __exit modeset_exit(void)
{
	cdev_del(&cdev);
	unregister_chrdev_region(MKDEV(NVIDIA_MAJOR, NVIDIA_MODESET_MINOR), 1);
}

module_init(modeset_init);
module_exit(modeset_exit);
MODULE_DESCRIPTION("Stand-in for NVIDIA's mode setting module, for tests without hardware");
MODULE_LICENSE("GPL");
MODULE_VERSION(NVIDIA_STANDIN_VERSION);
