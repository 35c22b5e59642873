/* SPDX-License-Identifier: GPL-2.0 */
/* What each module of the package is: it knows how many modules lie below it, and tells it to those above. */
#ifndef LATTICE_H
#define LATTICE_H

#include <linux/export.h>
#include <linux/init.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/printk.h>

#define LATTICE_MODULE(name)                                                 \
	unsigned int name##_depth(void);                                     \
	unsigned int name##_depth(void)                                      \
	{                                                                    \
		return depth_below() + 1;                                    \
	}                                                                    \
	EXPORT_SYMBOL(name##_depth);                                         \
	static int __init name##_init(void)                                  \
	{                                                                    \
		pr_debug(#name ": depth %u\n", name##_depth());              \
		return 0;                                                    \
	}                                                                    \
	static void __exit name##_exit(void)                                 \
	{                                                                    \
	}                                                                    \
	module_init(name##_init);                                            \
	module_exit(name##_exit);                                            \
	MODULE_DESCRIPTION("One of many small modules, for tests of loading"); \
	MODULE_LICENSE("GPL");                                               \
	MODULE_VERSION(LATTICE_VERSION)

#endif
