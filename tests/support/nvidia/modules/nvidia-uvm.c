// SPDX-License-Identifier: GPL-2.0
/* A stand-in for nvidia-uvm.ko: a major number that is another one at every boot, minors 0 and 1. */
#include <linux/sched.h>

#include "standin.h"

#define MINORS 2 /* nvidia-uvm and nvidia-uvm-tools */

static bool uvm_disable_hmm;
module_param(uvm_disable_hmm, bool, 0444);

#ifdef NVIDIA_STANDIN_OOPS_INIT
static int *volatile nothing; /* volatile: a write to NULL that the compiler sees it may leave out */
#endif
#ifdef NVIDIA_STANDIN_HANG_INIT
static bool ended; /* never */
#endif

static struct standin_numbers numbers;

static const struct file_operations fops = {
	.owner = THIS_MODULE,
};

static int __init uvm_init(void)
{
	int error = standin_check_version("nvidia-uvm", "nvidia", nvidia_standin_version());

	if (error)
		return error;
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
	return standin_add_numbers(&numbers, &fops, 0, 0, MINORS, "nvidia-uvm");
}

static void __exit uvm_exit(void)
{
	standin_remove_numbers(&numbers);
}

module_init(uvm_init);
module_exit(uvm_exit);
MODULE_DESCRIPTION("Stand-in for NVIDIA's unified memory module, for tests without hardware");
MODULE_LICENSE("GPL");
MODULE_VERSION(NVIDIA_STANDIN_VERSION);
