// SPDX-License-Identifier: GPL-2.0
/* A stand-in for nvidia-peermem.ko: all that it does is to use nvidia. */
#include "standin.h"

static int __init peermem_init(void)
{
	return standin_check_version("nvidia-peermem", "nvidia", nvidia_standin_version());
}

static void __exit peermem_exit(void)
{
}

module_init(peermem_init);
module_exit(peermem_exit);
MODULE_DESCRIPTION("Stand-in for NVIDIA's peer memory module, for tests without hardware");
MODULE_LICENSE("GPL");
MODULE_VERSION(NVIDIA_STANDIN_VERSION);
