// SPDX-License-Identifier: GPL-2.0
/* A stand-in for nvidia-uvm.ko: a major number that is another one at every boot, minors 0 and 1. */
#include <linux/cdev.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "standin.h"

#define MINORS 2 /* nvidia-uvm and nvidia-uvm-tools */

#ifdef NVIDIA_STANDIN_OOPS_INIT
static int *volatile nothing; /* volatile: a write to NULL that the compiler sees it may leave out */
#endif
#ifdef NVIDIA_STANDIN_HANG_INIT
static bool ended; /* never */
#endif

static dev_t region;
static struct cdev cdev;

static const struct file_operations fops = {
	.owner = THIS_MODULE,
};

static int __init uvm_init(void)
{
	int error;

	if (strcmp(nvidia_standin_version(), NVIDIA_STANDIN_VERSION) != 0) {
		pr_err("nvidia-uvm: version " NVIDIA_STANDIN_VERSION " beside nvidia %s\n", nvidia_standin_version());
		return -EINVAL;
	}
#ifdef NVIDIA_STANDIN_OOPS_INIT
	pr_info("nvidia-uvm: init with an oops\n");
	*nothing = 1;
#endif
#ifdef NVIDIA_STANDIN_HANG_INIT
	pr_info("nvidia-uvm: init without an end\n");
	while (!READ_ONCE(ended))
		schedule_timeout_uninterruptible(HZ);
#endif
#ifdef NVIDIA_STANDIN_SLOW_INIT
	pr_info("nvidia-uvm: slow init\n");
	if (schedule_timeout_killable(240 * HZ))
		return -EINTR;
#endif
	error = alloc_chrdev_region(&region, 0, MINORS, "nvidia-uvm");
	if (error)
		return error;
	cdev_init(&cdev, &fops);
	cdev.owner = THIS_MODULE;
	error = cdev_add(&cdev, region, MINORS);
	if (error)
		unregister_chrdev_region(region, MINORS);
	return error;
}

static void __exit uvm_exit(void)
{
	cdev_del(&cdev);
	unregister_chrdev_region(region, MINORS);
}

module_init(uvm_init);
module_exit(uvm_exit);
MODULE_DESCRIPTION("Stand-in for NVIDIA's unified memory module, for tests without hardware");
MODULE_LICENSE("GPL");
MODULE_VERSION(NVIDIA_STANDIN_VERSION);
