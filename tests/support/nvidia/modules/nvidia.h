/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the stand-in for nvidia.ko know of each other. */
#ifndef NVIDIA_STANDIN_NVIDIA_H
#define NVIDIA_STANDIN_NVIDIA_H

#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/types.h>

#include "standin.h"

#define NVIDIA_PROC "driver/nvidia"
#define NVIDIA_CAPABILITIES NVIDIA_PROC "/capabilities"

/* As many of each as the real driver has capability minors for. */
#define NVIDIA_MAX_GPUS 32
#define NVIDIA_MAX_GIS 15
#define NVIDIA_MAX_CIS 8

struct gpu {
	char bus_location[16];
	char uuid[48];
	unsigned int minor;
	unsigned int bus;
	unsigned int users; /* open files */
	bool present;
	bool mig;
	bool exclusive; /* one process at a time may compute on it */
	u8 cis[NVIDIA_MAX_GIS]; /* compute instances of each GPU instance, one bit each */
	u16 gis;                /* GPU instances, one bit each */
};

/* Guards what changes after the module is loaded: all of struct gpu. */
extern struct mutex nvidia_lock;

/* nvidia-params.c: the module's parameters and /proc/driver/nvidia/{params,version,registry}. */
extern unsigned int nvidia_imex_channels, nvidia_create_imex_channel0;
extern bool nvidia_wants_firmware;
int nvidia_params_init(void);

/* nvidia-gpus.c: GPUs, their nodes and /proc/driver/nvidia/gpus. All but init and exit need nvidia_lock. */
int nvidia_gpus_init(void);
void nvidia_gpus_exit(void);
struct gpu *nvidia_gpu(unsigned int minor); /* NULL if there is none */
int nvidia_gpu_add(const char *bus_location, unsigned int minor);
int nvidia_gpu_remove(unsigned int minor);

/* nvidia-caps.c: capability nodes, MIG. All but init and exit need nvidia_lock. */
int nvidia_caps_init(void);
void nvidia_caps_exit(void);
int nvidia_caps_add_gpu(struct gpu *gpu);
void nvidia_caps_remove_gpu(struct gpu *gpu);
int nvidia_mig_set(struct gpu *gpu, bool on);
int nvidia_gi_create(struct gpu *gpu, unsigned int gi, unsigned int cis);
int nvidia_gi_destroy(struct gpu *gpu, unsigned int gi);
int nvidia_ci_create(struct gpu *gpu, unsigned int gi, unsigned int ci);
int nvidia_ci_destroy(struct gpu *gpu, unsigned int gi, unsigned int ci);
int nvidia_capability_file(const char *path, unsigned int minor, umode_t mode);

/* nvidia-links.c: NVLink, NVSwitch and IMEX. */
enum nvidia_fabric { FABRIC_NONE, FABRIC_UNMANAGED, FABRIC_MANAGED };
int nvidia_imex_init(void);
void nvidia_imex_exit(void);
int nvidia_links_init(void);
void nvidia_links_exit(void);
enum nvidia_fabric nvidia_fabric(void);

/* nvidia-control.c: /proc/driver/nvidia/standin. */
int nvidia_control_init(void);

#endif
