// SPDX-License-Identifier: GPL-2.0
/* A stand-in for nvidia-drm.ko: it drives no display, but it uses nvidia-modeset and nvidia, and so holds them. */
#include "standin.h"

static bool modeset;
module_param(modeset, bool, 0400);
static bool fbdev;
module_param(fbdev, bool, 0400);

static int __init drm_init(void)
{
	int error = standin_check_version("nvidia-drm", "nvidia", nvidia_standin_version());

	return error ? error : standin_check_version("nvidia-drm", "nvidia-modeset", nvidia_modeset_standin_version());
}

static void __exit drm_exit(void)
{
}

module_init(drm_init);
module_exit(drm_exit);
MODULE_DESCRIPTION("Stand-in for NVIDIA's DRM module, for tests without hardware");
MODULE_LICENSE("GPL");
MODULE_VERSION(NVIDIA_STANDIN_VERSION);
