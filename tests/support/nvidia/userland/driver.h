/* SPDX-License-Identifier: GPL-2.0 */
/* What the stand-in's libraries and programs know of the kernel modules. Linked into each of them. */
#ifndef NVIDIA_STANDIN_DRIVER_H
#define NVIDIA_STANDIN_DRIVER_H

#include <stddef.h>

#define MAX_GPUS 32

#pragma GCC visibility push(hidden)

/* The first line of a node or file without its end; -1 and errno if it can't be opened with these flags, or read. */
int driver_read_line(const char *path, int flags, char *line, size_t size);

/* The number after "NAME:" in a file of such lines; -1 if there is none. */
long driver_number(const char *path, const char *name);

/* Whether the kernel modules are there, and of which version: /dev/nvidiactl tells. */
enum driver_state { DRIVER_MATCHES, DRIVER_NOT_LOADED, DRIVER_OF_OTHER_VERSION };
enum driver_state driver_check(char *kernel_version, size_t size);

/* Minors of the GPUs that the kernel module has, in the order of their PCI addresses. */
unsigned int driver_gpus(unsigned int minors[MAX_GPUS]);

/* Opens a node and leaves it open until the process ends; says why not. */
int driver_hold(const char *node);
/* /dev/nvidiactl and the node of every GPU. */
int driver_hold_gpus(void);

#pragma GCC visibility pop

#endif
