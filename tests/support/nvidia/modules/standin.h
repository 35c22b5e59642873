/* SPDX-License-Identifier: GPL-2.0 */
/* What the stand-in modules share. NVIDIA_STANDIN_VERSION comes from standin-config.h. */
#ifndef NVIDIA_STANDIN_H
#define NVIDIA_STANDIN_H

#define NVIDIA_MAJOR 195
#define NVIDIA_MODESET_MINOR 254
#define NVIDIA_CTL_MINOR 255
#define NVIDIA_GPU_MINORS 248 /* 0 to 247, as in the open kernel modules */

/* Exported by nvidia; what depends on it refuses to load beside another version, as in reality. */
const char *nvidia_standin_version(void);

#endif
