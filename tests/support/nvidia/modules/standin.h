/* SPDX-License-Identifier: GPL-2.0 */
/* What the stand-in modules share. NVIDIA_STANDIN_VERSION comes from standin-config.h. */
#ifndef NVIDIA_STANDIN_H
#define NVIDIA_STANDIN_H

#include <linux/cdev.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/string.h>

#define NVIDIA_MAJOR 195
#define NVIDIA_MODESET_MINOR 254
#define NVIDIA_CTL_MINOR 255
#define NVIDIA_GPU_MINORS 248 /* 0 to 247, as in the open kernel modules */

/* Exported by nvidia; what depends on it refuses to load beside another version, as in reality. */
const char *nvidia_standin_version(void);

/* Exported by nvidia-modeset. */
const char *nvidia_modeset_standin_version(void);

static inline int standin_check_version(const char *self, const char *other, const char *its_version)
{
	if (strcmp(its_version, NVIDIA_STANDIN_VERSION) == 0)
		return 0;
	pr_err("%s: version " NVIDIA_STANDIN_VERSION " beside %s %s\n", self, other, its_version);
	return -EINVAL;
}

/* Device numbers and what opens there. Opening holds the module. */
struct standin_numbers {
	struct cdev cdev;
	dev_t first;
	unsigned int count; /* 0: not registered */
};

/* From MAJOR:MINOR on, or with major 0 from minor 0 of whatever major is free. */
static inline int standin_add_numbers(struct standin_numbers *numbers, const struct file_operations *fops,
				      unsigned int major, unsigned int minor, unsigned int count, const char *name)
{
	int error;

	numbers->first = MKDEV(major, minor);
	error = major ? register_chrdev_region(numbers->first, count, name) :
			alloc_chrdev_region(&numbers->first, 0, count, name);
	if (error)
		return error;
	cdev_init(&numbers->cdev, fops);
	numbers->cdev.owner = fops->owner;
	error = cdev_add(&numbers->cdev, numbers->first, count);
	if (error)
		unregister_chrdev_region(numbers->first, count);
	else
		numbers->count = count;
	return error;
}

static inline void standin_remove_numbers(struct standin_numbers *numbers)
{
	if (!numbers->count)
		return;
	cdev_del(&numbers->cdev);
	unregister_chrdev_region(numbers->first, numbers->count);
	numbers->count = 0;
}

#endif
