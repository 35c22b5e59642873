// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for nvidia.ko without hardware: GPUs that are nothing but their names. Device numbers and the files in
 * /proc/driver are like those of the open kernel modules 580.
 */
#include "nvidia.h"

DEFINE_MUTEX(nvidia_lock);

const char *nvidia_standin_version(void)
{
	return NVIDIA_STANDIN_VERSION;
}
EXPORT_SYMBOL(nvidia_standin_version);

/* Each of these also ends what was only begun. */
static void take_down(void)
{
	remove_proc_subtree(NVIDIA_PROC, NULL);
	nvidia_gpus_exit();
	nvidia_links_exit();
	nvidia_caps_exit();
	nvidia_imex_exit();
}

static int set_up(void)
{
	/* In this order, so that the dynamic majors follow each other as on a real machine. */
	int (*const parts[])(void) = {
		nvidia_imex_init, nvidia_caps_init, nvidia_links_init,
		nvidia_params_init, nvidia_gpus_init, nvidia_control_init,
	};

	if (!proc_mkdir(NVIDIA_PROC, NULL))
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int error = parts[i]();

		if (error)
			return error;
	}
	return 0;
}

static int __init nvidia_init(void)
{
	int error;

#ifdef NVIDIA_STANDIN_BREAK_INIT
	pr_err("NVRM: this build of the stand-in fails on purpose\n");
	return -EIO;
#endif
	error = set_up();
	if (error) {
		take_down();
		return error;
	}
	pr_info("NVRM: loading NVIDIA UNIX stand-in for x86_64  " NVIDIA_STANDIN_VERSION "\n");
	return 0;
}

static void __exit nvidia_exit(void)
{
	take_down();
}

module_init(nvidia_init);
module_exit(nvidia_exit);
MODULE_ALIAS("char-major-195-*");
MODULE_ALIAS("pci:v000010DEd*sv*sd*bc03sc02i00*");
MODULE_DESCRIPTION("Stand-in for NVIDIA's kernel module, for tests without hardware");
MODULE_LICENSE("GPL");
MODULE_VERSION(NVIDIA_STANDIN_VERSION);
